"""On a server of somebody's own: whoever migrates is no superuser, each process has a login of one role."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from trade_platform.adapters.database import migrate, roles
from trade_platform.adapters.database.connection import connect
from trade_platform.adapters.database.migrate import MigrationFailed
from trade_platform.exchanges.account import Algorithm
from trade_platform.vault.enrolment import Enrolment, enrol
from trade_platform.vault.keeper import Keeper
from trade_platform.vault.keys import Keys
from trade_platform.vault.secret import Secret

MIGRATOR = "trade_platform_test_migrator"
LOGIN = "trade_platform_test_vault"


@pytest.fixture
def own(empty_postgres_url: str, template_database: str) -> Iterator[psycopg.Connection]:
    """An administrator's connection to an empty database that belongs to the migrator."""
    database = make_url(empty_postgres_url).database
    assert database is not None
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        for name in (MIGRATOR, LOGIN):
            connection.execute(f"CREATE ROLE {name} LOGIN")
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(database), sql.Identifier(MIGRATOR)
            )
        )
        yield connection
        connection.execute(f"REASSIGN OWNED BY {MIGRATOR} TO CURRENT_USER")
        for name in (MIGRATOR, LOGIN):
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")


def as_user(url: str, name: str) -> str:
    plain = make_url(url).set(drivername="postgresql", username=name)
    return plain.render_as_string(hide_password=False)


def grant(connection: psycopg.Connection, login: str, *names: str) -> None:
    for name in names:
        connection.execute(f"GRANT {name} TO {login} WITH SET TRUE, INHERIT FALSE")


def test_without_the_roles_the_sentence_says_what_an_administrator_is_to_run(
    own: psycopg.Connection, empty_postgres_url: str
) -> None:
    with pytest.raises(MigrationFailed, match=r"let a superuser run CREATE ROLE trade_platform_.* GRANT"):
        migrate.upgrade(as_user(empty_postgres_url, MIGRATOR))


def test_nobody_needs_to_be_a_superuser(own: psycopg.Connection, empty_postgres_url: str, keys: Keys) -> None:
    grant(own, MIGRATOR, *roles.ROLES)
    migrate.upgrade(as_user(empty_postgres_url, MIGRATOR))
    grant(own, LOGIN, roles.VAULT)
    own.execute(f"GRANT CONNECT ON DATABASE {own.info.dbname} TO {LOGIN}")
    with Keeper(as_user(empty_postgres_url, LOGIN), keys) as keeper:
        enrolment = Enrolment(key_id="key", algorithm=Algorithm.HMAC_SHA256, secret=Secret("secret"))
        enrol(keeper, "operator.main", "deribit", enrolment, actor="test")
        assert keeper.sign("operator.main", "login", "text", "test")
        with pytest.raises(roles.CannotStepDown, match="may not become"):
            roles.become(keeper.connection, roles.ACCOUNTS)
    with connect(as_user(empty_postgres_url, MIGRATOR), name="test") as owner:
        assert owner.execute("SELECT * FROM account").fetchall() == [], "not even whose tables they are"
        roles.become(owner, roles.ACCOUNTS)
        with owner.transaction():
            roles.tenant(owner, roles.OPERATOR_TENANT)
            assert len(owner.execute("SELECT * FROM account").fetchall()) == 1
