"""Fixtures of all tests: real servers, started once; a fresh database a test; the recorded sessions.

DATABASE_URL and REDIS_URL in the environment replace the servers that are started here: the database's
user must be allowed to create databases, and Redis' logical database 9 is emptied.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from redis import Redis

from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.embedded import Server, start_postgres, start_redis
from trade_platform.settings import variables

REPOSITORY = Path(__file__).resolve().parents[1]
CAPTURES = REPOSITORY.parent / "shared" / "captures"
IN_CI = "CI" in os.environ
REQUIRE_CAPTURES = "REQUIRE_CAPTURES" in os.environ

GIVEN_DATABASE_URL = os.environ.get("DATABASE_URL", "")
GIVEN_REDIS_URL = os.environ.get("REDIS_URL", "")
for _name in variables(os.environ):  # whatever the developer's shell holds is not the tests' business
    os.environ.pop(_name, None)

UNTIMED = [hypothesis.HealthCheck.too_slow]  # no test depends on speed
hypothesis.settings.register_profile("explore", deadline=None, suppress_health_check=UNTIMED)
hypothesis.settings.register_profile("ci", deadline=None, suppress_health_check=UNTIMED, derandomize=True)
hypothesis.settings.load_profile("ci" if IN_CI else "explore")

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def captures() -> Path:
    """The recorded sessions, ``../shared/captures``; where they are absent the test is skipped."""
    if not CAPTURES.is_dir():
        say = pytest.fail if REQUIRE_CAPTURES else pytest.skip
        say("the recorded sessions (../shared/captures, beside the checkout) are not here")
    return CAPTURES


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where this session's servers keep their data: a short path that any account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def admin_url(server_folder: Path) -> Iterator[str]:
    """A PostgreSQL server in which databases may be created."""
    if GIVEN_DATABASE_URL:
        yield GIVEN_DATABASE_URL.replace("postgresql+psycopg://", "postgresql://", 1)
        return
    with start_postgres(server_folder / "postgres", database="postgres", parameters=FAST) as server:
        yield server.url


@pytest.fixture(scope="session")
def template_database(admin_url: str) -> Iterator[str]:
    """Name of a database with all migrations, to be copied from."""
    from trade_platform.adapters.database import migrate

    name = f"trade_platform_test_{os.getpid()}"
    with _administration(admin_url) as run:
        run("CREATE DATABASE {}", name)
        migrate.upgrade(_with_path(admin_url, name))
        yield name
        run("DROP DATABASE {} WITH (FORCE)", name)


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


@pytest.fixture
def postgres_url(admin_url: str, template_database: str) -> Iterator[str]:
    """A fresh database with all migrations."""
    name = f"{template_database}_{next(_numbers)}"
    with _administration(admin_url) as run:
        run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template_database)
    yield _with_path(admin_url, name)
    with _administration(admin_url) as run:
        run("DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    """One to a fresh database, as the processes of the platform open it."""
    with connect(postgres_url, name="test") as connection:
        yield connection


@pytest.fixture
def empty_postgres_url(admin_url: str) -> Iterator[str]:
    """A fresh database without anything in it."""
    name = f"trade_platform_empty_{os.getpid()}_{next(_numbers)}"
    with _administration(admin_url) as run:
        run("CREATE DATABASE {} TEMPLATE template0", name)
    yield _with_path(admin_url, name)
    with _administration(admin_url) as run:
        run("DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def shared_redis_url(server_folder: Path) -> Iterator[str]:
    """The session's Redis; tests take ``redis_url``."""
    if GIVEN_REDIS_URL:
        yield GIVEN_REDIS_URL
        return
    with start_redis(server_folder / "redis", parameters={"appendonly": "no"}) as server:
        yield server.url


@pytest.fixture
def redis_url(shared_redis_url: str) -> str:
    """An empty logical database of the session's Redis."""
    head = shared_redis_url.partition("?")[0]
    url = f"{head}?db=9" if head.startswith("unix:") else _with_path(shared_redis_url, "9")
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def redis_server(server_folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts a Redis of the test's own, to be killed at will: ``redis_server(name="redis", **options)``.

    The same name means the same data; options are those of ``start_redis``.
    """
    yield from _factory(start_redis, server_folder)


@pytest.fixture
def postgres_server(server_folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts a PostgreSQL of the test's own, as ``redis_server`` does; its database has no migrations yet."""
    yield from _factory(start_postgres, server_folder)


def _factory(start: Callable[..., Server], base: Path) -> Iterator[Callable[..., Server]]:
    folder = base / f"own-{next(_numbers)}"
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    servers: list[Server] = []

    def begin(name: str = "data", **options: object) -> Server:
        servers.append(start(folder / name, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _administration(url: str) -> Iterator[Callable[..., None]]:
    """Statements outside any transaction, on the server's own database."""

    def run(statement: str, *names: str) -> None:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    with psycopg.connect(url, autocommit=True) as connection:
        yield run


def _with_path(url: str, path: str) -> str:
    """The same server, another database; urllib.parse would lose an empty host."""
    head, mark, query = url.partition("?")
    scheme, _, rest = head.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{path}{mark}{query}"


_numbers = count(1)
