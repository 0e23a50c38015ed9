from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from trade_platform.adapters.database import roles
from trade_platform.adapters.database.connection import Connection
from trade_platform.exchanges.account import Algorithm
from trade_platform.vault.keeper import Keeper, Refused, Unavailable

Take = Callable[..., None]

TEXT = "1576074319000\n1iqt2wls\n"
SIGNATURE = "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1"
"""Deribit's own vector."""


def trail(connection: Connection) -> list[tuple[str, str, str, bytes]]:
    rows = connection.execute(
        "SELECT actor, purpose, outcome, digest FROM secret_access ORDER BY tenant_id, n"
    )
    return rows.fetchall()


def test_it_signs_as_the_exchange_wants_and_writes_down_for_whom(
    keeper: Keeper, take: Take, connection: Connection
) -> None:
    take("operator.main", secret="AMANDASECRECT", key_id="AMANDA")
    assert keeper.sign("operator.main", "login", TEXT, "streamer") == SIGNATURE
    assert trail(connection)[-1] == ("streamer", "login", "signed", hashlib.sha256(TEXT.encode()).digest())
    told = keeper.describe("operator.main")
    assert (told.exchange, told.key_id, told.algorithm) == ("deribit", "AMANDA", Algorithm.HMAC_SHA256)
    assert told.tenant == roles.OPERATOR_TENANT
    assert keeper.accounts() == [told]


def test_nothing_is_handed_out_that_could_not_be_written_down(
    keeper: Keeper, take: Take, connection: Connection
) -> None:
    take("operator.main")
    connection.execute("REVOKE INSERT ON secret_access FROM trade_platform_vault")
    with pytest.raises(Exception, match="permission denied for table secret_access"):
        keeper.sign("operator.main", "login", TEXT, "streamer")


def test_who_is_unknown_is_refused(keeper: Keeper) -> None:
    with pytest.raises(Refused, match=r"There is no account .operator\.other"):
        keeper.sign("operator.other", "login", TEXT, "streamer")
    with pytest.raises(Refused, match="There is no account"):
        keeper.describe("operator.other")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE account SET state = 'revoked'", "was revoked"),
        ("UPDATE tenant SET state = 'suspended'", "is not active"),
        ("DELETE FROM credential", "has no credential"),
        ("UPDATE tenant SET most_signatures_per_minute = 0", "has used its 0 signatures"),
    ],
)
def test_who_may_not_sign_is_refused_and_that_is_written_down(
    keeper: Keeper, take: Take, connection: Connection, statement: str, says: str
) -> None:
    take("operator.main")
    connection.execute(statement)
    with pytest.raises(Refused, match=says):
        keeper.sign("operator.main", "login", TEXT, "streamer")
    actor, purpose, outcome, digest = trail(connection)[-1]
    assert (actor, purpose, digest) == ("streamer", "login", b"")
    assert says in outcome


def test_orders_are_signed_for_nobody(keeper: Keeper, take: Take, connection: Connection) -> None:
    take("operator.main", exchange="binance_spot")
    with pytest.raises(Refused, match="does not sign the parameter 'side'"):
        keeper.sign("operator.main", "order", "symbol=BTCUSDT&side=BUY&timestamp=1", "streamer")
    assert "refused" in trail(connection)[-1][2]


def test_a_ciphertext_of_another_tenant_does_not_open(
    keeper: Keeper, take: Take, connection: Connection, alice: str
) -> None:
    """Whoever may write the table puts Alice's envelope below the operator's account, to sign as her."""
    take("operator.main", secret="operator's")
    take("alice.main", secret="AMANDASECRECT")
    connection.execute(
        """
        UPDATE credential mine SET kek_id = hers.kek_id, wrapped_key = hers.wrapped_key,
               sealed_secret = hers.sealed_secret, version = hers.version
        FROM credential hers WHERE hers.tenant_id = %s::uuid AND mine.tenant_id <> hers.tenant_id
        """,
        (alice,),
    )
    assert keeper.sign("alice.main", "login", TEXT, "streamer") == SIGNATURE
    with pytest.raises(Refused, match="belongs to another credential or tenant"):
        keeper.sign("operator.main", "login", TEXT, "streamer")
    assert [outcome for _, _, outcome, _ in trail(connection) if "does not open" in outcome]


def test_a_whole_row_that_was_given_to_another_tenant_does_not_open(
    keeper: Keeper, take: Take, connection: Connection, alice: str
) -> None:
    take("alice.main", secret="AMANDASECRECT")
    take("operator.main")
    connection.execute("DELETE FROM credential WHERE tenant_id <> %s::uuid", (alice,))
    connection.execute(
        """
        UPDATE credential SET tenant_id = a.tenant_id, account_id = a.account_id
        FROM account a WHERE a.key = 'operator.main'
        """
    )
    with pytest.raises(Refused, match="does not open"):
        keeper.sign("operator.main", "login", TEXT, "streamer")


def test_the_vault_reads_one_tenant_s_credentials_at_a_time(keeper: Keeper, take: Take, alice: str) -> None:
    take("operator.main")
    take("alice.main")
    query = "SELECT tenant_id::text FROM credential"
    assert keeper.connection.execute(query).fetchall() == []
    with keeper.of_tenant(alice):
        assert keeper.connection.execute(query).fetchall() == [(alice,)]


def test_no_table_holds_the_secret(keeper: Keeper, take: Take, connection: Connection) -> None:
    canary = "canary-secret-0123456789"
    take("operator.main", secret=canary)
    keeper.sign("operator.main", "login", TEXT, "streamer")
    for table in ("tenant", "account", "credential", "secret_access", "invitation"):
        for (row,) in connection.execute(f"SELECT t::text FROM {table} t").fetchall():
            assert canary not in row
            assert canary.encode().hex() not in row


def test_a_database_that_went_away_is_asked_again(keeper: Keeper, take: Take, connection: Connection) -> None:
    take("operator.main")
    backend = keeper.connection.info.backend_pid
    connection.execute("SELECT pg_terminate_backend(%s, 10000)", (backend,))
    with pytest.raises(Unavailable, match="database does not answer"):
        keeper.sign("operator.main", "login", TEXT, "streamer")
    assert keeper.sign("operator.main", "login", TEXT, "streamer")
    keeper.look()


def test_a_role_that_could_pass_row_level_security_is_refused(
    postgres_url: str, keeper: Keeper, connection: Connection
) -> None:
    connection.execute("ALTER ROLE trade_platform_vault BYPASSRLS")
    try:
        with pytest.raises(roles.CannotStepDown, match="could pass row-level security"):
            keeper.look()
    finally:
        connection.execute("ALTER ROLE trade_platform_vault NOBYPASSRLS")
    keeper.look()


def test_a_key_that_is_not_there_is_named(
    keeper: Keeper, take: Take, key_folder: Path, connection: Connection
) -> None:
    take("operator.main")
    connection.execute("UPDATE credential SET kek_id = '1999'")
    with pytest.raises(Refused, match="'1999' is not here"):
        keeper.sign("operator.main", "login", TEXT, "streamer")
