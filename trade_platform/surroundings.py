"""What a command finds or starts around it: PostgreSQL, Redis, an exchange's REST side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import redis

from trade_platform.adapters.budget import Budget
from trade_platform.adapters.children import Kept
from trade_platform.adapters.dagster_home import LOOPBACK, free_port, make_home, password_file_of
from trade_platform.adapters.database.dagster_storage import (
    check_dagster_storage,
    ensure_dagster_storage,
    known_dagster_storage,
    sqlalchemy_url,
)
from trade_platform.adapters.embedded import start_postgres, start_redis, url_of
from trade_platform.adapters.passwords import hide_password
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.trust import trust
from trade_platform.domain.defences import Defence
from trade_platform.exchanges.session import Exchange
from trade_platform.settings import Settings


class NotHere(Exception):
    """A server that the command needs is not running; the sentence says what to do."""


@contextmanager
def servers(settings: Settings) -> Iterator[tuple[str, str, list[Kept]]]:
    """PostgreSQL and Redis: those that settings name, else embedded ones that end with us."""
    folder = settings.data_folder.absolute()
    kept: list[Kept] = []
    try:
        if settings.database_url:
            _require(settings.database_url)
        else:
            kept.append(Kept(lambda: start_postgres(folder / "postgres", binaries=settings.postgres_bin)))
        if settings.redis_url:
            _require_redis(settings.redis_url)
        else:
            kept.append(
                Kept(
                    lambda: start_redis(
                        folder / "redis", binary=settings.redis_server, megabytes=settings.redis_megabytes
                    )
                )
            )
        urls = [server.url for server in kept]
        yield (
            settings.database_url or urls[0],
            settings.redis_url or urls[-1],
            kept,
        )
    finally:
        for server in reversed(kept):
            server.stop()


def _require(database_url: str) -> None:
    """Raises a sentence where the database that a person named does not answer."""
    try:
        psycopg.connect(database_url, connect_timeout=5).close()
    except psycopg.Error as error:
        reason = hide_password(str(error).strip().splitlines()[0], database_url)
        raise NotHere(
            f"DATABASE_URL does not answer ({reason}): start that server, or unset it for an embedded one."
        ) from error


def _require_redis(url: str) -> None:
    """Raises a sentence where the Redis that a person named does not answer."""
    client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        reason = hide_password(str(error), url)
        raise NotHere(
            f"REDIS_URL does not answer ({reason}): start that server, or unset it for an embedded one."
        ) from error
    finally:
        client.close()


def dagster_environment(settings: Settings, database_url: str) -> Mapping[str, str]:
    """What Dagster's processes are told; its home and its database are made.

    Raises NoDagsterHome, NoDagsterStorage.
    """
    home = make_home(settings.data_folder)
    url = settings.dagster_database_url
    if url:
        check_dagster_storage(url)
    else:
        url = ensure_dagster_storage(database_url, password_file_of(settings.data_folder))
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DATABASE_URL": url,
        "DAGSTER_STORAGE_URL": sqlalchemy_url(url),
        "DAGSTER_CODE_HOST": LOOPBACK,
        "DAGSTER_CODE_PORT": str(free_port()),
        "DAGSTER_GRPC_TIMEOUT_SECONDS": "180",  # a run is a new interpreter, and the machine may be busy
    }


@contextmanager
def database(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to the database: the named one, the one of a running platform, or started for this."""
    url = settings.database_url or url_of(settings.data_folder.absolute() / "postgres")
    if url:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            yield connection
        return
    if not (settings.data_folder / "postgres").exists():
        raise NotHere(
            f"{settings.data_folder} holds no database yet: run `make demo` first, or set DATABASE_URL."
        )
    with (
        start_postgres(
            settings.data_folder.absolute() / "postgres", binaries=settings.postgres_bin
        ) as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        yield connection


@contextmanager
def dagster_database(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection to Dagster's own database; of a platform that runs, or on a server that settings name.

    Raises NotHere, NoDagsterStorage.
    """
    url = settings.dagster_database_url or dagster_url(settings)
    if not url:
        raise NotHere(
            "Dagster has no database here yet, or its server is not running: `trade-platform up` starts both."
        )
    check_dagster_storage(url)
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        yield connection


def dagster_url(settings: Settings) -> str:
    """Dagster's database as an earlier start made it; empty where none did, or its server does not run."""
    server = settings.database_url or url_of(settings.data_folder.absolute() / "postgres")
    return known_dagster_storage(server, password_file_of(settings.data_folder)) if server else ""


@contextmanager
def connections(settings: Settings) -> Iterator[tuple[psycopg.Connection, redis.Redis]]:
    """Database and Redis of a platform that runs; raises NotHere."""
    redis_url = settings.redis_url or url_of(settings.data_folder.absolute() / "redis")
    if not redis_url:
        raise NotHere("Nothing is running here: start it with `trade-platform up`, or set REDIS_URL.")
    bus: Any = redis.Redis.from_url(redis_url, socket_timeout=5)
    try:
        with database(settings) as connection:
            yield connection, bus
    finally:
        bus.close()


@asynccontextmanager
async def rest_client(exchange: Exchange, settings: Settings) -> AsyncIterator[RestClient]:
    """An exchange's REST side, at the host that settings name. Raises CannotStart."""
    budget = Budget(
        exchange.key,
        exchange.limits,
        redis_url=settings.redis_url or url_of(settings.data_folder.absolute() / "redis"),
        share=settings.budget_share,
        unlimited=Defence.BUDGETS in settings.without,
    )
    url = settings.hosts(exchange.key)[1] or exchange.rest_url
    rest = RestClient(
        url,
        name=exchange.key,
        error_of=exchange.error_of,
        budget=budget,
        ssl_context=trust(settings.tls_ca_file),
    )
    async with budget, rest as client:
        yield client
