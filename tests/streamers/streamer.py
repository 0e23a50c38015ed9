"""A whole streamer in the test's own process: supervisor and publisher for the fictional exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from streamers.bus_link import BusLink
from streamers.publisher import Publisher
from streamers.spool import Spool
from streamers.supervisor import Supervisor
from streamers.telemetry import Telemetry
from tests.streamers.fictional import Fictional
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import WallClock
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.selection_file import SelectionFile
from trade_platform.domain.defences import Defence

RULE = '[[record]]\nexchange = "fictional"\nsymbols = {symbols}\nchannels = ["trade", "quote"]\n'


def select(path: Path, *symbols: str) -> None:
    """Write the selection file."""
    path.write_text(RULE.format(symbols=[*symbols]), encoding="utf-8")


class Streamer:
    def __init__(
        self,
        exchange: Fictional,
        redis_url: str,
        folder: Path,
        producer: str,
        *,
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        clock = WallClock()
        self.file = folder / "instruments.toml"
        self.publisher = Publisher(
            BusLink(redis_url),
            Spool(folder / "spool", 16 << 20),
            exchange=exchange.key,
            producer=producer,
            clock=clock,
        )
        self.rest = RestClient(
            exchange.rest_url,
            name=exchange.key,
            error_of=exchange.error_of,
            budget=Budget(exchange.key, exchange.limits),
        )
        self.supervisor = Supervisor(
            exchange,
            self.publisher,
            self.rest,
            clock,
            SelectionFile(self.file, exchanges=[exchange.key]),
            websocket_url=exchange.websocket_url,
            without=without,
        )
        self.registry = CollectorRegistry()
        self.telemetry = Telemetry(self.supervisor, clock, self.registry)

    @property
    def endings(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for feed in self.supervisor.feeds.values():
            for reason, count in feed.endings.items():
                counts[reason] = counts.get(reason, 0) + count
        return counts


@asynccontextmanager
async def streaming(
    exchange: Fictional,
    redis_url: str,
    folder: Path,
    *,
    producer: str = "test:1",
    symbols: tuple[str, ...] = ("AAA",),
    without: frozenset[Defence] = frozenset(),
) -> AsyncIterator[Streamer]:
    streamer = Streamer(exchange, redis_url, folder, producer, without=without)
    if symbols:
        select(streamer.file, *symbols)
    streamer.publisher.open()
    stop = asyncio.Event()
    async with streamer.rest, asyncio.TaskGroup() as group:
        group.create_task(streamer.publisher.run())
        running = group.create_task(streamer.supervisor.run(stop))
        try:
            yield streamer
        finally:
            stop.set()
            await running
            streamer.publisher.finish(10)
