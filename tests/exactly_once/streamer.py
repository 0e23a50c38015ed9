"""One incarnation of a streamer without its sockets: real publisher, real re-reading, steps on command."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from streamers.catch_up import CatchUp, Hole
from streamers.publisher import Inlet, Publisher
from streamers.spool import Spool
from tests.exactly_once.bus import Link, Server
from tests.processors.feeding import EXCHANGE, NOON, trade
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import (
    MICROSECONDS,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Gap,
    GapReason,
    Metric,
    Number,
    Record,
    Trade,
)
from trade_platform.exchanges.session import Missing

SYMBOLS = ("BTCUSDT", "ETHUSDT")
REFUSED = "nul\x00"
"""A symbol that PostgreSQL does not take."""
SPOOL_BYTES = 6000
SEGMENT_BYTES = 700
BUFFER_RECORDS = 10


class StandingClock:
    """Moves when the model says so."""

    def __init__(self) -> None:
        self.at = NOON

    def market(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / MICROSECONDS


class Market:
    """What the exchange did, and what of it can be read again."""

    def __init__(self, clock: StandingClock) -> None:
        self.clock = clock
        self.trades: dict[str, list[Trade]] = {symbol: [] for symbol in SYMBOLS}

    def print(self, symbol: str) -> Trade:
        self.clock.at += 1000
        made = trade(len(self.trades[symbol]) + 1, self.clock.at, symbol=symbol, receive_time=self.clock.at)
        self.trades[symbol].append(made)
        return made

    # As CatchUp asks an exchange and its REST client.

    def trades_request(self, symbol: str, channel: Channel, first: int, last: int) -> Any:
        return symbol, first, last

    async def fetch(self, request: Any) -> Any:
        return request

    def parse_trades(self, body: Any, symbol: str, channel: Channel, receive_time: int) -> list[Trade]:
        _, first, last = body
        return self.trades[symbol][first - 1 : last]


class Disk(Spool):
    """A spool whose disk may be full."""

    full = False

    def _write(self, frame: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super()._write(frame)


class Streamer:
    """From its start to its death."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: Server,
        folder: Path,
        market: Market,
        name: str,
        without: frozenset[Defence],
    ) -> None:
        self._loop = loop
        self._market = market
        self._server = server
        self.link = Link(server)
        self.spool = Disk(folder, SPOOL_BYTES, segment_bytes=SEGMENT_BYTES)
        self.publisher = Publisher(
            self.link,
            self.spool,
            exchange=EXCHANGE,
            producer=name,
            clock=market.clock,
            buffer_records=BUFFER_RECORDS,
            without=without,
        )
        self.publisher.touch = lambda: None  # sealing is a step of its own here
        self.catch_up = CatchUp(market, market, self.publisher, market.clock)  # type: ignore[arg-type]
        self.publisher.on_missing = lambda missing: self._request(missing, GapReason.RESTART)
        self.publisher.open()
        self.reading = False
        self._inlet = Inlet()
        self._expected: dict[str, int] = {}

    def run(self, work: Callable[[], Any]) -> Any:
        """In the loop, as everything of a streamer is."""

        async def inside() -> Any:
            answer = work()
            return await answer if asyncio.iscoroutine(answer) else answer

        return self._loop.run_until_complete(inside())

    # --- what its connection does ---

    def connect(self) -> None:
        """The subscriptions deliver from here on; what was missed by then is a Gap."""
        self.reading = True
        publisher = self.publisher
        publisher.seal()
        self._inlet = publisher.inlet()
        self._expected = publisher.sequences.expected(dict.fromkeys(SYMBOLS, Channel.TRADE))
        since, now = publisher.last_flush, self._market.clock.market()
        if 0 < since < now:
            publisher.event(Gap(None, None, GapReason.RESTART, None, None, since, now, "restart"))

    def hear(self, records: Iterable[Record]) -> None:
        for record in records:
            if not self._inlet.since:
                self._inlet.since = self._market.clock.market()
            if isinstance(record, Trade) and record.symbol in SYMBOLS:
                self._compare(record)
            self._inlet.buffers[type(record)].append(record)

    def _compare(self, one: Trade) -> None:
        """As a session does."""
        before = self._expected.get(one.symbol)
        self._expected[one.symbol] = one.sequence
        if before is not None and one.sequence > before + 1:
            self.publisher.seal()
            missing = Missing(one.symbol, Channel.TRADE, before + 1, one.sequence - 1)
            if rest := self.publisher.sequences.narrow(missing):
                self._request(rest, GapReason.SEQUENCE)

    def _request(self, missing: Missing, reason: GapReason) -> None:
        self.catch_up.request(Hole(missing, reason, self._market.clock.market()))

    # --- steps ---

    def read_again(self) -> None:
        """One hole, by REST."""
        if self.catch_up.waiting:
            hole = self.catch_up._holes.get_nowait()
            self.run(lambda: self.catch_up._fill(hole))

    def step(self) -> None:
        if not self.publisher.sender.idle:
            self.run(lambda: self.publisher.sender.step(self.publisher._acquaint))

    def stop(self) -> None:
        """In good order, without waiting for Redis."""
        self.run(lambda: self.publisher.finish(-1))
        self.run(self.publisher.run)

    def die(self) -> None:
        """Let go of everything as the kernel does it for a process that was killed."""
        for file in (self.spool._lock, self.spool._writing):
            if file is not None:
                file.close()
        for descriptor in self.spool._unsynced:
            os.close(descriptor)
        self.run(self.link.close)

    @property
    def finished(self) -> bool:
        publisher = self.publisher
        unsealed = any(batch for batch in self._inlet.buffers.values())
        waiting = unsealed or publisher.blocked or publisher.shed or self.catch_up.waiting
        return publisher.sender.idle and not waiting

    def in_memory(self) -> list[Record]:
        """Neither on disk nor known to be on the bus: a kill takes it."""
        publisher = self.publisher
        parcels = [*publisher.backlog._memory, *publisher.sender._again]
        stalled = [record for _, batch, _ in publisher._stalled for record in batch]
        return [record for parcel in parcels for record in parcel.entry.records()] + stalled


def quote(at: int, symbol: str = "BTCUSDT") -> Number:
    return Number(symbol, Metric.BEST_BID, Decimal(at), at, at, Channel.QUOTE)


def state(number: int, at: int) -> ExchangeState:
    return ExchangeState(ExchangeStatus.OPEN, str(number), "test", at, at)
