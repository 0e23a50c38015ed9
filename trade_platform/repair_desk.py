"""Puts together what a repair works with, from settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import psycopg

from trade_platform.adapters.archive import archive_files
from trade_platform.adapters.archive_source import ArchiveSource
from trade_platform.adapters.clock import Clock, clock_from_text
from trade_platform.adapters.database.catalogue import known_instruments
from trade_platform.adapters.database.connection import Connection, connect, libpq_url
from trade_platform.adapters.database.revision import check_revision
from trade_platform.adapters.embedded import url_of
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.redis_reader import WrongRedisUrl, connect_redis
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.selection_file import UnusableSelection, read_selection
from trade_platform.adapters.sources import TradeSource
from trade_platform.domain.model import Channel
from trade_platform.domain.selection import resolve
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import Exchange
from trade_platform.operations.desk import Desk, Reach
from trade_platform.settings import Settings
from trade_platform.surroundings import rest_client

SELECTION_SECONDS = 60.0


def open_database(settings: Settings, name: str) -> Connection:
    """A connection of a schema that is ours. Raises CannotStart, SchemaBehind, psycopg.Error."""
    url = settings.database_url or url_of(settings.data_folder.absolute() / "postgres")
    if not url:
        raise CannotStart("Nothing is running here: start it with `trade-platform up`, or set DATABASE_URL.")
    connection = connect(libpq_url(url), name=name)
    try:
        check_revision(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@asynccontextmanager
async def desk_from(settings: Settings, connection: Connection, stop: asyncio.Event) -> AsyncIterator[Desk]:
    """Redis, and the REST side and the archive of every exchange. Raises CannotStart."""
    clock = clock_from_text(settings.market_clock)
    url = settings.redis_url or url_of(settings.data_folder.absolute() / "redis")
    if not url:
        raise CannotStart("Nothing is running here: start it with `trade-platform up`, or set REDIS_URL.")
    async with AsyncExitStack() as stack:
        try:
            bus = stack.enter_context(connect_redis(url))
        except WrongRedisUrl as error:
            raise CannotStart(str(error)) from error
        reaches = {}
        for key, exchange in EXCHANGES.items():
            client = await stack.enter_async_context(rest_client(exchange, settings))
            archive = _archive(exchange, settings.archive, clock)
            reaches[key] = Reach(exchange, client.fetch, archive, partial(_waited, client))
        desk = Desk(connection, bus, reaches, clock, stop=stop)
        desk.recorded = Recorded(settings, connection)
        yield desk


def _waited(client: RestClient) -> float:
    return client.budget.waited_seconds


def _archive(exchange: Exchange, location: str, clock: Clock) -> TradeSource | None:
    if not location or exchange.archive is None:
        return None
    return ArchiveSource(exchange.archive, archive_files(location), clock)


class Recorded:
    """Whether a symbol's trades are selected now; looked up again once a minute."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._file = settings.instruments_file
        self._connection = connection
        self._until = float("-inf")
        self._wanted: dict[str, set[tuple[str, Channel]]] = {}

    def __call__(self, exchange: str, symbol: str, channel: Channel) -> bool:
        if time.monotonic() > self._until:
            self._until = time.monotonic() + SELECTION_SECONDS
            self._wanted.clear()
        if exchange not in self._wanted and not self._look(exchange):
            return True
        return (symbol, channel) in self._wanted[exchange]

    def _look(self, exchange: str) -> bool:
        """False where the selection cannot be read: then all counts as recorded."""
        try:
            selection = read_selection(self._file, exchanges=EXCHANGES)
            known = known_instruments(self._connection, exchange)
        except (UnusableSelection, psycopg.Error):
            return False
        wanted = resolve(selection, exchange, known, deliverable=EXCHANGES[exchange].channels)
        self._wanted[exchange] = {(one.symbol, one.channel) for one in wanted}
        return True
