"""Days of the simulated exchanges' past: REST, archives, limits, processors, candles, control totals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from redis import Redis

from tests.operations.spot import processing
from tests.streamers.simulator.serving import simulator
from trade_platform.adapters.archive import archive_files
from trade_platform.adapters.archive_source import ArchiveSource
from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.instruments import Directory, store_instruments
from trade_platform.domain.backfill import DayState
from trade_platform.domain.model import Channel, InstrumentKind
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.backfill import backfill
from trade_platform.operations.control import compare_day
from trade_platform.operations.desk import Desk, Reach
from trade_platform.operations.gaps import find
from trade_platform.operations.partitions import Listed
from trade_platform.operations.wishes import Wish, find_targets
from trade_platform.settings import Settings
from trade_platform.surroundings import rest_client

SYMBOLS: Final = {
    "binance_spot": ("BTCUSDT", "ETHUSDT"),
    "binance_usdm": ("BTCUSDT",),
    "deribit": ("BTC-PERPETUAL",),
}
DAYS: Final = 4


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """REST base URL of each simulated exchange."""
    folder = tmp_path_factory.mktemp("simulator")
    with simulator(folder, "--history", str(DAYS), "--history-rate", "300", "--seed", "7") as process:
        yield {key: one["rest"] for key, one in process.ready()["urls"].items()}


@asynccontextmanager
async def desk_of(
    connection: Connection, database_url: str, redis_url: str, urls: Mapping[str, str]
) -> AsyncIterator[Desk]:
    """With the platform's own REST clients and their limits; each exchange serves its own archive."""
    hosts = {f"{key.upper()}_REST_URL": url for key, url in urls.items()}
    settings = Settings(database_url=database_url, redis_url=redis_url, urls=hosts)
    clock = WallClock()
    async with AsyncExitStack() as stack:
        bus = stack.enter_context(Redis.from_url(redis_url))
        reaches = {}
        for key, exchange in EXCHANGES.items():
            client = await stack.enter_async_context(rest_client(exchange, settings))
            files = archive_files(f"{urls[key]}/archive")
            source = exchange.archive and ArchiveSource(exchange.archive, files, clock)
            reaches[key] = Reach(exchange, client.fetch, source or None)
            for request in exchange.instruments_requests():
                listed = exchange.parse_instruments(await client.fetch(request))
                store_instruments(connection, Directory(), key, listed)
        recorded: Any = lambda _exchange, _symbol, channel: channel is Channel.TRADE  # noqa: E731
        yield Desk(connection, bus, reaches, clock, recorded=recorded)


@pytest.mark.timeout(300)
async def test_the_past_of_three_exchanges_is_read_whole_and_its_candles_are_theirs(
    connection: Connection, postgres_url: str, redis_url: str, urls: Mapping[str, str]
) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    days = [yesterday - timedelta(days=n) for n in reversed(range(DAYS))]
    with processing(postgres_url, redis_url, *map(market_stream, SYMBOLS)):
        async with desk_of(connection, postgres_url, redis_url, urls) as desk:
            targets = [
                target
                for key, symbols in SYMBOLS.items()
                for target in await find_targets(desk, [key], symbols)
            ]
            done = await backfill(desk, [Wish(target, days) for target in targets])
            assert {one.state for one in done.days} == {DayState.WHOLE}, done.days
            assert len(done.days) == 4 * DAYS
            connection.execute("ANALYZE")  # the tests' servers do not do it by themselves
            for target in targets:
                listed = Listed(target.instrument_id, target.exchange, target.symbol, InstrumentKind.UNKNOWN)
                for day in days:
                    await _compare(desk, listed, day, first=day == days[0])
            assert await asyncio.to_thread(find, connection, desk.clock.market(), days=40) == 0


async def _compare(desk: Desk, listed: Listed, day: date, *, first: bool) -> None:
    """Every minute of the day is the exchange's own, field by field; before the first trade there is none."""
    counts = (await compare_day(desk, listed, day)).counts
    assert (counts.compared + counts.missing_ours, counts.open) == (1440, 0), (listed, day, counts)
    assert first or not counts.missing_ours, (listed, day, counts)
