from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.processors.feeding import Feeder
from trade_platform.adapters.database.connection import Connection, connect


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with connect(postgres_url, name="test") as connection:
        yield connection


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    return Feeder(connection)


@pytest.fixture(scope="session")
def two_databases(admin_url: str, template_database: str) -> Iterator[tuple[str, str]]:
    """For properties: ``emptied`` makes them new for every example."""
    names = [f"{template_database}_{which}" for which in ("one", "other")]
    with psycopg.connect(admin_url, autocommit=True) as connection:

        def run(statement: str, *identifiers: str) -> None:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, identifiers)))

        for name in names:
            run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template_database)
        one, other = (make_conninfo(admin_url, dbname=name) for name in names)
        yield one, other
        for name in names:
            run("DROP DATABASE {} WITH (FORCE)", name)
