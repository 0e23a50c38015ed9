"""What assets, checks and sensors reach: PostgreSQL, Redis, the market's clock, the exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import dagster as dg
import msgspec
import psycopg
from redis import Redis, RedisError

from trade_platform.adapters.clock import Clock, clock_from_text
from trade_platform.adapters.database.connection import (
    Connection,
    SchemaBehind,
    WrongUrl,
    connect,
    sentence,
)
from trade_platform.adapters.database.revision import check_revision
from trade_platform.adapters.embedded import url_of
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.redis_reader import WrongRedisUrl, connect_redis
from trade_platform.operations.desk import Desk
from trade_platform.settings import Settings, settings_from

KEY: Final = "stores"
NOT_HERE: Final = "Nothing is running here: start it with `trade-platform up`, or set {}."


@contextmanager
def unreachable() -> Iterator[list[str]]:
    """A sensor's look at the stores; where one cannot be reached, the list holds the sentence to say."""
    missing: list[str] = []
    try:
        yield missing
    except (CannotStart, SchemaBehind, WrongUrl, WrongRedisUrl, psycopg.Error, RedisError) as error:
        missing.append(sentence(error))


class Stores(dg.ConfigurableResource[Any]):
    """Empty fields mean what the environment says at run time, as every process of the platform takes it."""

    database_url: str = ""
    redis_url: str = ""
    data_folder: str = ""

    def settings(self) -> Settings:
        """Raises SettingsError."""
        given = {"database_url": self.database_url, "redis_url": self.redis_url}
        settings = msgspec.structs.replace(
            settings_from(), **{name: value for name, value in given.items() if value}
        )
        if self.data_folder:
            settings = msgspec.structs.replace(settings, data_folder=Path(self.data_folder))
        return settings

    @contextmanager
    def database(self, name: str = "dagster") -> Iterator[Connection]:
        """An autocommit connection; ``name`` is what PostgreSQL shows of it.

        Raises CannotStart, SchemaBehind, psycopg.Error.
        """
        settings = self.settings()
        url = settings.database_url or url_of(settings.data_folder.absolute() / "postgres")
        if not url:
            raise CannotStart(NOT_HERE.format("DATABASE_URL"))
        with closing(connect(url, name=name)) as connection:
            check_revision(connection)
            yield connection

    @contextmanager
    def bus(self) -> Iterator[Redis]:
        """A client of Redis. Raises CannotStart, WrongRedisUrl; RedisError when it is used."""
        settings = self.settings()
        url = settings.redis_url or url_of(settings.data_folder.absolute() / "redis")
        if not url:
            raise CannotStart(NOT_HERE.format("REDIS_URL"))
        with connect_redis(url) as client:
            yield client

    def clock(self) -> Clock:
        """The market's clock: "now" is what it says, never the machine's; a demo runs faster."""
        return clock_from_text(self.settings().market_clock)

    @asynccontextmanager
    async def desk(self, name: str = "dagster") -> AsyncIterator[Desk]:
        """The REST side and the archive of every exchange, and both stores. Raises what the others raise."""
        from trade_platform.repair_desk import desk_from  # noqa: PLC0415  an HTTP client: few runs need it

        with self.database(name) as connection:
            async with desk_from(self.settings(), connection, asyncio.Event()) as desk:
                yield desk
