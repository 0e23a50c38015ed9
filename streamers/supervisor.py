"""One loop for an exchange: what it lists, what of that is selected, and the connections that carry it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

import structlog

from streamers.baseline import LOOK_SECONDS, Baselines
from streamers.catch_up import CatchUp, Hole
from streamers.connection import Connection, Holder, Surroundings
from streamers.feed import Feed, FeedContext
from streamers.probe import Probe
from streamers.publisher import Publisher
from streamers.sequences import field_of
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.adapters.selection_file import SelectionFile, UnusableSelection
from trade_platform.domain.model import Channel, GapReason, Instrument, InstrumentState, Record
from trade_platform.domain.selection import Selection, Wanted, resolve
from trade_platform.exchanges.session import (
    ConnectionPlan,
    Exchange,
    Missing,
    ProtocolViolation,
    RestError,
)

WATCH_SECONDS = 1.0
INSTRUMENTS_SECONDS = 3600.0
NEWS_SECONDS = 60.0
"""Instruments are read again on news of them, this often at most."""
ACQUAINTANCE_SECONDS = 3.0
"""How long a start waits for Redis to say where an earlier process ended."""
INSTRUMENT_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)

log = structlog.get_logger()


class Supervisor:
    """Holds the feeds of one exchange and keeps them what the selection wants them to be."""

    def __init__(
        self,
        exchange: Exchange,
        publisher: Publisher,
        rest: RestClient,
        clock: Clock,
        selection_file: SelectionFile,
        *,
        websocket_url: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.exchange = exchange
        self.publisher = publisher
        self.feeds: dict[str, Feed] = {}
        self.complaint = ""
        """What a person must put right before anything is recorded; empty when nothing."""
        self.selected = 0
        self.started = clock.monotonic()
        self.last_data: float | None = None
        """Monotonic, as of the last watch."""
        self.catch_up = CatchUp(exchange, rest, publisher, clock)
        self.baselines = Baselines(exchange, rest, publisher, clock, behind=self._late)
        self.probe = Probe(exchange, rest, publisher, clock, reopened=self._hurry)
        self._rest = rest
        self._clock = clock
        self._file = selection_file
        self._websocket_url = websocket_url.rstrip("/")
        self._around = Surroundings(publisher=publisher, rest=rest, clock=clock, tls=tls)
        self._context = FeedContext(
            publisher=publisher,
            catch_up=self.catch_up,
            clock=clock,
            make=self._connection,
            maximum_age_seconds=exchange.maximum_age_seconds,
            on_event=self._heard,
            on_change=self._reconsider_probe,
        )
        self._selection: Selection | None = None
        self._instruments: list[Instrument] = []
        self._news = False
        self._fields: set[str] = set()
        """Of the sequence hash, that the selection comes to."""
        self._messages = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        publisher.on_missing = self._late

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then the connections are closed, and what was in flight is published."""
        await _first(stop, self.publisher.acquainted.wait(), ACQUAINTANCE_SECONDS)
        async with asyncio.TaskGroup() as self._tasks:
            helpers = [
                self._tasks.create_task(work)
                for work in (self.catch_up.run(), self.probe.run(), self.baselines.run(), self._look())
            ]
            await self._read_instruments_until_there(stop)
            restart = True
            read_at = self._clock.monotonic()
            while not stop.is_set():
                if self._due(read_at) and await self._read_instruments():
                    read_at = self._clock.monotonic()
                    self._apply(restart=False)
                if self._file.changed() or self._selection is None:
                    self._reload()
                    self._apply(restart=restart)
                    restart = False
                await _first(stop, None, WATCH_SECONDS)
                self._note_data()
            for feed in self.feeds.values():
                feed.stop()
            await asyncio.gather(*self._running.values())
            for helper in helpers:
                helper.cancel()

    # --- instruments and selection ---

    async def _read_instruments_until_there(self, stop: asyncio.Event) -> None:
        tries = 0
        while not stop.is_set() and not await self._read_instruments():
            delay = INSTRUMENT_RETRY_SECONDS[min(tries, len(INSTRUMENT_RETRY_SECONDS) - 1)]
            tries += 1
            await _first(stop, None, delay)

    async def _read_instruments(self) -> bool:
        """Read and publish what the exchange lists; False, with a sentence said once, where it fails."""
        instruments: list[Instrument] = []
        try:
            for request in self.exchange.instruments_requests():
                instruments += self.exchange.parse_instruments(await self._rest.fetch(request))
        except (RestError, RestUnavailable, ProtocolViolation) as error:
            sentence = f"The instruments of {self.exchange.key} cannot be read: {error}"
            if sentence != self.complaint:
                log.warning("The exchange's instruments cannot be read; trying again.", error=str(error))
            self.complaint = sentence
            return False
        self.complaint = ""
        self._news = False
        self._instruments = instruments
        self.publisher.publish(instruments, self._clock.market())
        return True

    def _due(self, read_at: float) -> bool:
        return self._clock.monotonic() - read_at > (NEWS_SECONDS if self._news else INSTRUMENTS_SECONDS)

    def _reload(self) -> None:
        before = self._selection
        try:
            self._selection = self._file.read()
        except UnusableSelection as error:
            kept = (
                "The selection before it stays." if before else "Nothing is recorded until it is corrected."
            )
            log.warning("The selection cannot be used.", error=str(error), then=kept)
            self._selection = before or Selection()
            return
        if before is not None:
            log.info("The selection was read again.")
            if before.quote_interval_ms != self._selection.quote_interval_ms:
                for feed in self.feeds.values():
                    feed.rotate()

    def _apply(self, *, restart: bool) -> None:
        """Make the feeds what selection and instruments come to."""
        assert self._tasks is not None
        if self._selection is None:
            return
        wanted = resolve(
            self._selection, self.exchange.key, self._instruments, deliverable=self.exchange.channels
        )
        self.selected = len(wanted)
        if wanted:
            wanted += [Wanted("", channel) for channel in sorted(self.exchange.exchange_channels)]
        else:
            log.warning("Nothing is selected.", exchange=self.exchange.key, file=str(self._file.path))
        self._forget_what_left(wanted)
        plans = self.exchange.plan(wanted, [feed.plan for feed in self.feeds.values()]) if wanted else []
        for plan in plans:
            feed = self.feeds.get(plan.name)
            if feed is None:
                feed = self.feeds[plan.name] = Feed(plan, self._context, restart=restart)
                self._running[plan.name] = self._tasks.create_task(feed.run(), name=plan.name)
            elif feed.plan != plan:
                feed.change(plan)
                if feed.current is not None:
                    feed.current.unverified = dict(trade_channels(self.exchange, plan.wanted))
        for name in self.feeds.keys() - {plan.name for plan in plans}:
            self.feeds.pop(name).stop()

    def _forget_what_left(self, wanted: Iterable[Wanted]) -> None:
        channels = trade_channels(self.exchange, wanted)
        fields = {field_of(symbol, channel) for symbol, channel in channels.items()}
        for field in self._fields - fields:
            self.publisher.sequences.forget(field)
        self._fields = fields

    # --- what feeds ask and tell ---

    def _connection(self, plan: ConnectionPlan, holder: Holder) -> Connection:
        assert self._selection is not None
        session = self.exchange.session(plan, quote_interval=self._selection.quote_interval_ms * 1000)
        connection = Connection(self._websocket_url + plan.path, session, holder, self._around)
        self.publisher.seal()
        channels = trade_channels(self.exchange, plan.wanted)
        connection.expected = self.publisher.sequences.expected(channels)
        connection.unverified = dict(channels)
        session.expect(connection.expected)
        return connection

    def _heard(self, record: Record) -> None:
        if isinstance(record, InstrumentState):
            self._news = True

    def _late(self, missing: Missing) -> None:
        """Redis told only now where an earlier process ended, or REST what a silent symbol has missed."""
        self.catch_up.request(Hole(missing, GapReason.RESTART, self.publisher.last_flush))

    def _hurry(self) -> None:
        for feed in self.feeds.values():
            if feed.current is None:
                feed.hurry()

    def _reconsider_probe(self) -> None:
        self.probe.need(any(feed.down_reason and feed.attempts for feed in self.feeds.values()))

    async def _look(self) -> None:
        """Connections that came to carry symbols whose sequence nobody knows."""
        while True:
            for feed in self.feeds.values():
                if feed.current is not None:
                    self.baselines.look(feed.current)
            await asyncio.sleep(LOOK_SECONDS)

    def _note_data(self) -> None:
        messages = sum(
            feed.messages + (feed.current.messages if feed.current else 0) for feed in self.feeds.values()
        )
        if messages != self._messages:
            self._messages = messages
            self.last_data = self._clock.monotonic()


def trade_channels(exchange: Exchange, wanted: Iterable[Wanted]) -> Mapping[str, Channel]:
    """Per symbol the channel whose sequence proves completeness."""
    by_symbol: dict[str, list[Channel]] = {}
    for one in wanted:
        by_symbol.setdefault(one.symbol, []).append(one.channel)
    found = {symbol: exchange.trade_channel(channels) for symbol, channels in by_symbol.items()}
    return {symbol: channel for symbol, channel in found.items() if channel is not None}


async def _first(stop: asyncio.Event, work: Coroutine[Any, Any, object] | None, seconds: float) -> None:
    """Wait for the stop, the work, or the time, whichever comes first."""
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if work is not None:
        tasks.append(asyncio.create_task(work))
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
