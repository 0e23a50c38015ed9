from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.roles import OPERATOR_TENANT
from trade_platform.vault import audit
from trade_platform.vault.enrolment import broken_chains
from trade_platform.vault.keeper import Keeper


@pytest.fixture
def used(keeper: Keeper, take: Callable[..., None]) -> Keeper:
    take("operator.main")
    for number in range(4):
        keeper.sign("operator.main", "login", f"text {number}", "streamer")
    return keeper


def test_a_trail_that_nobody_touched_holds(used: Keeper, alice: str, take: Callable[..., None]) -> None:
    take("alice.main")
    assert broken_chains(used) == []
    with used.of_tenant(OPERATOR_TENANT) as connection:
        assert audit.head(connection, OPERATOR_TENANT).n == 5
        assert audit.head(connection, alice) == audit.Head(0, audit.NOTHING), "another tenant's is not seen"


@pytest.mark.parametrize("statement", ["UPDATE secret_access SET actor = ''", "DELETE FROM secret_access"])
def test_rows_cannot_be_changed_or_deleted_not_even_by_the_owner(
    used: Keeper, connection: Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        connection.execute("TRUNCATE secret_access")
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
        used.of_tenant(OPERATOR_TENANT) as vault,
    ):
        vault.execute(statement)


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE secret_access SET actor = 'nobody' WHERE n = 3", 3),
        ("UPDATE secret_access SET at = at + interval '1 s' WHERE n = 2", 2),
        ("UPDATE secret_access SET digest = '' WHERE n = 5", 5),
        ("DELETE FROM secret_access WHERE n = 4", 4),
        ("UPDATE secret_access SET n = n + 1 WHERE n = 5", 5),
        ("DELETE FROM secret_access WHERE n = 1", 1),
    ],
)
def test_whoever_gets_past_that_breaks_the_chain(
    used: Keeper, connection: Connection, statement: str, row: int
) -> None:
    """A superuser who switches the trigger off."""
    connection.execute("ALTER TABLE secret_access DISABLE TRIGGER USER")
    connection.execute(statement)
    assert broken_chains(used) == [(OPERATOR_TENANT, row)]


def test_writers_at_the_same_time_make_one_chain(used: Keeper, postgres_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def use(_: int) -> None:
        with Keeper(postgres_url, used.keys) as other:
            for number in range(5):
                other.sign("operator.main", "login", f"{number}", "streamer")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert broken_chains(used) == []
    with used.of_tenant(OPERATOR_TENANT) as connection:
        assert audit.head(connection, OPERATOR_TENANT).n == 25
