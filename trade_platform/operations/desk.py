"""What a repair works with: one connection to PostgreSQL, one to Redis, and the sources of each exchange."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import msgspec
from redis import Redis

from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.overview import stream_positions
from trade_platform.adapters.database.positions import BEGINNING
from trade_platform.adapters.outlet import Outlet
from trade_platform.adapters.redis_reader import StreamReader, comes_before
from trade_platform.adapters.sources import TradeSource
from trade_platform.domain.model import Candle, Channel, Trade
from trade_platform.exchanges.session import Exchange, Request

P = ParamSpec("P")
T = TypeVar("T")

LOOK_SECONDS: Final = 0.05
"""Between two looks at how far a stream is stored."""
PATIENCE_SECONDS: Final = 30.0
"""How long a stream may stand still before it is said that nobody stores it."""

MOST_ASKED: Final = 50_000

LEVEL_SECONDS: Final = 1.0
"""A processor that keeps up is level within this."""

_POSITION: Final = "SELECT entry_id FROM stream_position WHERE stream = %s"

Fetch: TypeAlias = Callable[[Request], Awaitable[bytes]]


class Reach(msgspec.Struct, frozen=True):
    """One exchange, how it is asked, and what lies behind it."""

    exchange: Exchange
    fetch: Fetch
    archive: TradeSource | None = None
    waited: Callable[[], float] = lambda: 0.0
    """Seconds that questions have waited for the exchange's limits, in all."""


class Stopped(Exception):
    """We were asked to stop, and waited no longer."""


class NotStored(Exception):
    """What was read again waits in the stream, and nobody stores it; the sentence says so."""


class Desk:
    """Everything that a pass shares; PostgreSQL is asked by one at a time, in another thread."""

    def __init__(
        self,
        connection: Connection,
        bus: Redis,
        reaches: Mapping[str, Reach],
        clock: Clock,
        *,
        recorded: Callable[[str, str, Channel], bool] = lambda *_: True,
        stop: asyncio.Event | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """``recorded``: whether trades of a symbol are still wanted."""
        self.connection = connection
        self.bus = bus
        self.reaches = reaches
        self.clock = clock
        self.recorded = recorded
        self.stop = stop or asyncio.Event()
        self.asked: dict[tuple[str, str, Channel], tuple[int, int | None]] = {}
        """``operations.gaps.Asked``; one entry an instrument, see ``note_asked``."""
        self.patience_seconds = patience_seconds
        self.turned = time.monotonic()
        """When something was asked last: a pass over a long hole takes hours, and is not stuck."""
        self._lock = asyncio.Lock()

    async def ask(
        self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """A question to PostgreSQL. Raises psycopg.Error."""
        async with self._lock:
            self.turned = time.monotonic()
            return await asyncio.to_thread(question, self.connection, *args, **kwargs)

    async def until_stopped(self, work: Awaitable[T]) -> T:
        """The work's result; where we are asked to stop before, it is cancelled. Raises Stopped."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise Stopped
        finally:
            for one in (working, stopping):
                one.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def behind(self) -> frozenset[str]:
        """Exchanges of whose stream not all is stored that was there when this was asked. Raises RedisError.

        What is not stored yet is not missing: nothing that hangs on time can be said of these.
        """
        ends = await asyncio.to_thread(self._ends)
        deadline = asyncio.get_running_loop().time() + LEVEL_SECONDS
        while True:
            stored = await self.ask(_positions)
            behind = frozenset(
                key
                for key, end in ends.items()
                if comes_before(stored.get(market_stream(key), BEGINNING), end)
            )
            if not behind or asyncio.get_running_loop().time() > deadline or await self.pause(LOOK_SECONDS):
                return behind

    def _ends(self) -> dict[str, str]:
        return {
            key: StreamReader(self.bus, market_stream(key), BEGINNING).end().last_id for key in self.reaches
        }

    def note_asked(self, key: tuple[str, str, Channel], at: int, newest: int | None) -> None:
        """What REST told of an instrument that does not trade; too many of them are asked anew."""
        if len(self.asked) >= MOST_ASKED:
            self.asked.clear()
        self.asked[key] = at, newest

    def counter(self, exchange: str) -> Counter:
        """Where records of an exchange are handed in during one pass."""
        return Counter(self, exchange)

    async def pause(self, seconds: float) -> bool:
        """Wait, or be stopped; True where it is to stop."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _positions(connection: Connection) -> dict[str, str]:
    return {one.stream: one.entry_id for one in stream_positions(connection)}


class Counter:
    """Hands records in where there is room, and waits until they are stored. Raises RedisError, NotStored."""

    def __init__(self, desk: Desk, exchange: str) -> None:
        self._desk = desk
        self._outlet = Outlet(desk.bus, exchange, desk.clock, self._position)

    @property
    def records(self) -> int:
        """Handed in so far."""
        return self._outlet.records

    async def put(self, records: list[Trade] | list[Candle]) -> None:
        """Records of one kind; waits for room before, never after."""
        if records:
            await self._wait(self._outlet.has_room)
            await asyncio.to_thread(self._outlet.put, records)

    async def stored(self) -> None:
        """Everything that was handed in is in the tables."""
        await self._wait(self._outlet.is_empty)

    async def _wait(self, condition: Callable[[], bool]) -> None:
        now = asyncio.get_running_loop().time
        deadline, before = now() + self._desk.patience_seconds, -1
        while not await self._desk.ask(lambda _: condition()):
            if self._outlet.unstored != before:
                deadline, before = now() + self._desk.patience_seconds, self._outlet.unstored
            if now() > deadline or await self._desk.pause(LOOK_SECONDS):
                raise NotStored(
                    f"What was read again waits in {self._outlet.stream}, and nobody stores it: "
                    "is its processor running?"
                )

    def _position(self, stream: str) -> str:
        row = self._desk.connection.execute(_POSITION, (stream,)).fetchone()
        return str(row[0]) if row else BEGINNING
