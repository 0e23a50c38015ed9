"""One tenant attacks another through the database. New private tables are tried without a change here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.adapters.database.private_rows import fill, insert
from trade_platform.adapters.database import roles
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.private_tables import may, open_views, private_tables, readable_columns
from trade_platform.adapters.database.roles import (
    ACCOUNTS,
    OPERATOR,
    ROLES,
    VAULT,
    CannotStepDown,
    acting_as,
    become,
)

ALICE = "00000000-0000-4000-8000-00000000a11c"
BOB = "00000000-0000-4000-8000-000000000b0b"

POWERFUL = "trade_platform_test_powerful"
"""A role with every privilege on every table, which row-level security alone holds back."""


@pytest.fixture
def filled(connection: Connection) -> list[str]:
    """The private tables, each with a row of Alice and a row of Bob."""
    return fill(connection, [ALICE, BOB])


@pytest.fixture
def powerful(connection: Connection) -> Iterator[str]:
    connection.execute(f"CREATE ROLE {POWERFUL} NOLOGIN")
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {POWERFUL}")
    yield POWERFUL
    connection.execute(f"REASSIGN OWNED BY {POWERFUL} TO CURRENT_USER")
    connection.execute(f"DROP OWNED BY {POWERFUL}")
    connection.execute(f"DROP ROLE {POWERFUL}")


@contextmanager
def attacking(connection: Connection, role: str, tenant: str) -> Iterator[None]:
    """Whatever happens is taken back."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('role', %s, true)", (role,))
        roles.tenant(connection, tenant)
        yield


def seen(connection: Connection, table: str) -> list[str]:
    query = sql.SQL("SELECT tenant_id::text FROM {} ORDER BY 1").format(sql.Identifier(table))
    return [row[0] for row in connection.execute(query).fetchall()]


def test_every_private_table_forces_row_level_security(connection: Connection) -> None:
    tables = private_tables(connection)
    assert {"tenant", "account", "credential", "secret_access", "invitation"} <= {one.name for one in tables}
    assert [one for one in tables if not (one.forced and one.own_rows)] == []
    assert open_views(connection) == []


def test_a_table_without_it_would_be_found(connection: Connection) -> None:
    connection.execute("CREATE TABLE forgotten (tenant_id uuid NOT NULL)")
    connection.execute("CREATE VIEW careless AS SELECT * FROM account")
    connection.execute("CREATE VIEW careful WITH (security_invoker = true) AS SELECT * FROM account")
    [forgotten] = [one for one in private_tables(connection) if one.name == "forgotten"]
    assert not forgotten.forced
    assert not forgotten.own_rows
    connection.execute("ALTER TABLE forgotten ENABLE ROW LEVEL SECURITY")
    assert not next(one for one in private_tables(connection) if one.name == "forgotten").forced
    connection.execute("SELECT keep_private('forgotten')")
    found = next(one for one in private_tables(connection) if one.name == "forgotten")
    assert found.forced
    assert found.own_rows
    assert open_views(connection) == ["careless"]


def test_the_rows_to_be_attacked_are_there(connection: Connection, filled: list[str]) -> None:
    for table in filled:
        assert {ALICE, BOB} <= set(seen(connection, table)), table


def test_a_tenant_sees_its_own_rows_and_nobody_sees_any_without_one(
    connection: Connection, filled: list[str], powerful: str
) -> None:
    for table in filled:
        with attacking(connection, powerful, ALICE):
            assert seen(connection, table) == [ALICE], table
        for nobody in ("", "00000000-0000-4000-8000-0000000000ff"):
            with attacking(connection, powerful, nobody):
                assert seen(connection, table) == [], table


def test_the_platform_s_own_role_sees_no_more(connection: Connection, filled: list[str]) -> None:
    for table in filled:
        with attacking(connection, ACCOUNTS, BOB):
            if "tenant_id" in readable_columns(connection, table, ACCOUNTS):
                assert seen(connection, table) == [BOB], table
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    seen(connection, table)


def test_the_owner_of_a_table_sees_no_more(connection: Connection, filled: list[str], powerful: str) -> None:
    for table in filled:
        connection.execute(
            sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(table), sql.Identifier(powerful))
        )
        with attacking(connection, powerful, ""):
            assert seen(connection, table) == [], table


@pytest.mark.parametrize("role", [POWERFUL, ACCOUNTS])
def test_no_row_is_written_for_another_tenant(
    connection: Connection, filled: list[str], powerful: str, role: str
) -> None:
    for table in filled:
        with (
            pytest.raises(
                psycopg.errors.InsufficientPrivilege, match=r"row-level security|permission denied"
            ),
            attacking(connection, role, ALICE),
        ):
            insert(connection, table, BOB, 9)


def test_no_row_of_another_tenant_is_changed_or_given_away(
    connection: Connection, filled: list[str], powerful: str
) -> None:
    connection.execute("ALTER TABLE secret_access DISABLE TRIGGER USER")
    for table in filled:
        name = sql.Identifier(table)
        for statement in ("UPDATE {} SET tenant_id = tenant_id WHERE tenant_id = %s::uuid",
                          "DELETE FROM {} WHERE tenant_id = %s::uuid"):  # fmt: skip
            with attacking(connection, powerful, ALICE):
                assert connection.execute(sql.SQL(statement).format(name), (BOB,)).rowcount == 0, table
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
            attacking(connection, powerful, ALICE),
        ):
            connection.execute(sql.SQL("UPDATE {} SET tenant_id = %s::uuid").format(name), (BOB,))


def test_the_tenant_is_forgotten_with_the_transaction(connection: Connection, filled: list[str]) -> None:
    """A connection that is used again, by a pool or by a loop, knows nobody."""
    with acting_as(connection, ACCOUNTS, ALICE):
        assert seen(connection, "account") == [ALICE]
    with acting_as(connection, ACCOUNTS):
        assert seen(connection, "account") == []
    with pytest.raises(RuntimeError, match="inside of a transaction"):
        roles.tenant(connection, ALICE)


def test_what_is_no_tenant_opens_nothing(connection: Connection, filled: list[str]) -> None:
    with (
        pytest.raises(psycopg.errors.InvalidTextRepresentation),
        acting_as(connection, ACCOUNTS, "' OR true"),
    ):
        seen(connection, "account")


@pytest.mark.parametrize(
    "columns", ["sealed_secret", "wrapped_key", "kek_id", "*", "length(sealed_secret)", "c"]
)
def test_ciphertext_is_read_by_the_vault_alone(
    connection: Connection, filled: list[str], columns: str
) -> None:
    for role in set(ROLES) - {VAULT}:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting_as(connection, role, ALICE):
            connection.execute(f"SELECT {columns} FROM credential c")
    with acting_as(connection, VAULT, ALICE):
        assert len(connection.execute(f"SELECT {columns} FROM credential c").fetchall()) == 1
    with acting_as(connection, VAULT):
        assert connection.execute(f"SELECT {columns} FROM credential c").fetchall() == []


def test_what_is_known_of_a_key_without_its_secret_is_for_its_tenant(
    connection: Connection, filled: list[str]
) -> None:
    with acting_as(connection, ACCOUNTS, ALICE):
        assert len(connection.execute("SELECT key_id, algorithm, state FROM credential").fetchall()) == 1


def test_nobody_but_the_vault_writes_credentials_and_nobody_changes_the_trail(connection: Connection) -> None:
    for role in ROLES:
        for privilege in ("INSERT", "UPDATE"):
            assert may(connection, role, privilege, "credential") == (role == VAULT)
        assert may(connection, role, "DELETE", "credential") == (role == OPERATOR)
        for privilege in ("UPDATE", "DELETE", "TRUNCATE"):
            assert not may(connection, role, privilege, "secret_access")


def test_whoever_removes_a_tenant_deletes_its_rows_and_reads_none(
    connection: Connection, filled: list[str]
) -> None:
    for table in set(filled) - {"tenant", "account", "invitation", "secret_access"}:
        with acting_as(connection, OPERATOR):
            assert seen(connection, table) == [], table
        assert readable_columns(connection, table, OPERATOR) == ["tenant_id"]
        assert may(connection, OPERATOR, "DELETE", table)


def test_other_streams_refused_records_are_not_read(connection: Connection) -> None:
    """They may hold what another tenant's exchange said."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting_as(connection, ACCOUNTS):
        connection.execute("SELECT data FROM dead_letter")


def test_a_login_of_one_role_cannot_become_another(connection: Connection, postgres_url: str) -> None:
    connection.execute("CREATE ROLE trade_platform_test_login LOGIN")
    try:
        connection.execute(f"GRANT {ACCOUNTS} TO trade_platform_test_login WITH SET TRUE, INHERIT FALSE")
        connection.execute("SET SESSION AUTHORIZATION trade_platform_test_login")
        become(connection, ACCOUNTS)
        for other in set(ROLES) - {ACCOUNTS}:
            with pytest.raises(CannotStepDown, match=f"may not become {other}"):
                become(connection, other)
    finally:
        connection.execute("RESET SESSION AUTHORIZATION")
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY trade_platform_test_login")
        connection.execute("DROP ROLE trade_platform_test_login")


def test_stepping_down_lasts_and_is_proven(connection: Connection, postgres_url: str) -> None:
    with pytest.raises(CannotStepDown, match="not as trade_platform_accounts"):
        roles.require(connection, ACCOUNTS)
    with connect(postgres_url, name="test") as other:
        become(other, ACCOUNTS)
        for _ in range(2):
            with other.transaction():
                roles.require(other, ACCOUNTS)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute("CREATE TABLE mine ()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute("ALTER TABLE account DISABLE ROW LEVEL SECURITY")


@pytest.mark.parametrize("power", ["SUPERUSER", "BYPASSRLS"])
def test_a_role_that_could_pass_is_refused(connection: Connection, power: str) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(f"ALTER ROLE {ACCOUNTS} {power}")
        connection.execute("SELECT set_config('role', %s, true)", (ACCOUNTS,))
        with pytest.raises(CannotStepDown, match="NOSUPERUSER NOBYPASSRLS"):
            roles.require(connection, ACCOUNTS)


def test_wrong_use_is_told_from_wrong_surroundings(connection: Connection) -> None:
    with pytest.raises(ValueError, match="is none of"):
        become(connection, "postgres")
    with connection.transaction(), pytest.raises(RuntimeError, match="outside of any transaction"):
        become(connection, ACCOUNTS)


def test_without_the_migration_the_sentence_says_what_to_run(empty_postgres_url: str) -> None:
    with connect(empty_postgres_url, name="test") as connection:
        name = "trade_platform_test_absent"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(roles, "ROLES", (name,))
            with pytest.raises(CannotStepDown, match=r"has no role.*database\.migrate"):
                become(connection, name)


def test_the_platform_s_role_stores_what_a_processor_stores(connection: Connection) -> None:
    """Positions of streams, refused records, gaps and instruments are not private."""
    with acting_as(connection, ACCOUNTS):
        for table in ("stream_position", "producer_position", "gap", "instrument", "dead_letter"):
            assert may(connection, ACCOUNTS, "INSERT", table)
        connection.execute("SELECT count(*) FROM trade, candle, instrument, alembic_version")
        connection.execute("CREATE TEMPORARY TABLE mine (number int) ON COMMIT DROP")
