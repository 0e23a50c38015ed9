"""One loop for an exchange: what it lists, what of that is selected, and the connections that carry it."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Literal

import structlog

from streamers.baseline import LOOK_SECONDS, Baselines
from streamers.catch_up import CatchUp, Hole
from streamers.connection import Connection, Holder, Surroundings
from streamers.feed import Feed, FeedContext
from streamers.probe import Probe
from streamers.publisher import Publisher
from streamers.selection_report import report_reading
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
ABSENT_LISTS = 3
INSTRUMENTS_SECONDS = 3600.0
NEWS_SECONDS = 60.0
"""Instruments are read again on news of them, this often at most."""
ACQUAINTANCE_SECONDS = 3.0
"""How long a start waits for Redis to say where an earlier process ended."""
BEGINNING_SECONDS = 2.0
"""How long a subscription waits to know from which trade on it counts."""
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
        self._wanted: frozenset[Wanted] = frozenset()
        self._report_due: Literal["", "first", "again"] = ""
        self._listed = 0
        self._absent: dict[str, int] = {}
        """How many lists in a row left out what is recorded."""
        self._news = False
        self._fields: set[str] = set()
        """Of the sequence hash, that the selection comes to."""
        self._short_lists = 0
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
            reading: asyncio.Task[bool] | None = None
            while not stop.is_set():
                if reading is None and self._due(read_at):
                    reading = self._tasks.create_task(self._read_instruments())
                if reading is not None and reading.done():
                    read_at = self._clock.monotonic()
                    if reading.result():
                        await self._apply(stop, restart=False, relisted=True)
                    else:
                        self._news = True  # again in a minute, not in an hour, and not every second
                    reading = None
                if self._file.changed() or self._selection is None:
                    self._reload()
                    await self._apply(stop, restart=restart)
                    restart = False
                await _first(stop, None, WATCH_SECONDS)
                self._note_data()
            if reading is not None:
                reading.cancel()
            for feed in self.feeds.values():
                feed.stop()
            await asyncio.gather(*self._running.values())
            for helper in helpers:
                helper.cancel()

    @property
    def unsettled(self) -> int:
        """Symbols whose trades are not yet known to be whole, and holes that are being re-read."""
        connections = [feed.current for feed in self.feeds.values() if feed.current is not None]
        unverified = sum(len(connection.unverified) for connection in connections)
        return unverified + self.baselines.asking + self.publisher.sequences.holding

    # --- instruments and selection ---

    async def _read_instruments_until_there(self, stop: asyncio.Event) -> None:
        tries = 0
        while not stop.is_set():
            await _first(stop, self._read_instruments(), math.inf)
            if self._instruments:
                return
            delay = INSTRUMENT_RETRY_SECONDS[min(tries, len(INSTRUMENT_RETRY_SECONDS) - 1)]
            tries += 1
            await _first(stop, None, delay)

    async def _read_instruments(self) -> bool:
        """Read and publish what the exchange lists; False, with a sentence said once, where it fails."""
        instruments: list[Instrument] = []
        try:
            for request in self.exchange.instruments_requests():
                instruments += self.exchange.parse_instruments(await self._rest.fetch(request))
            self._doubt(instruments)
        except (RestError, RestUnavailable, ProtocolViolation) as error:
            sentence = f"The instruments of {self.exchange.key} cannot be read: {error}"
            if sentence != self.complaint:
                log.warning("The exchange's instruments cannot be read; trying again.", error=str(error))
            self.complaint = sentence
            return False
        self.complaint = ""
        self._news = False
        self._instruments = [*instruments, *self._still_wanted(instruments)]
        self._listed = len(instruments)
        self.publisher.publish(instruments, self._clock.market())
        return True

    def _doubt(self, instruments: Sequence[Instrument]) -> None:
        """No exchange delists half of what it has, unless it says so again: raises ProtocolViolation."""
        short = len(instruments) < max(1, self._listed / 2)
        self._short_lists = self._short_lists + 1 if short else 0
        if short and (not instruments or self._short_lists < ABSENT_LISTS):
            raise ProtocolViolation(f"{len(instruments)} are listed, and {self._listed} were before.")

    def _still_wanted(self, instruments: Sequence[Instrument]) -> list[Instrument]:
        """What is recorded and no longer listed stays until it is absent from several lists in a row."""
        listed = {one.symbol for one in instruments}
        recorded = {one.symbol for feed in self.feeds.values() for one in feed.plan.wanted}
        gone = [one for one in self._instruments if one.symbol not in listed and one.symbol in recorded]
        self._absent = {one.symbol: self._absent.get(one.symbol, 0) + 1 for one in gone}
        return [one for one in gone if self._absent[one.symbol] < ABSENT_LISTS]

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
        self._report_due = "first" if before is None else "again"
        if before is not None and before.quote_interval_ms != self._selection.quote_interval_ms:
            for feed in self.feeds.values():
                feed.rotate()

    async def _apply(self, stop: asyncio.Event, *, restart: bool, relisted: bool = False) -> None:
        """Make the feeds what selection and instruments come to."""
        assert self._tasks is not None
        if self._selection is None:
            return
        wanted = resolve(
            self._selection, self.exchange.key, self._instruments, deliverable=self.exchange.channels
        )
        self.selected = len(wanted)
        self._report(wanted)
        if wanted:
            wanted += [Wanted("", channel) for channel in sorted(self.exchange.exchange_channels)]
        else:
            log.warning("Nothing is selected.", exchange=self.exchange.key, file=str(self._file.path))
        channels = self._forget_what_left(wanted, relisted=relisted)
        await _first(stop, self.baselines.begin(channels), BEGINNING_SECONDS)
        if stop.is_set():
            return
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

    def _report(self, wanted: Iterable[Wanted]) -> None:
        before, self._wanted = self._wanted, frozenset(wanted)
        if self._report_due and self._selection is not None:
            again = before if self._report_due == "again" else None
            report_reading(self._selection, self.exchange.key, self._instruments, self._wanted, before=again)
        self._report_due = ""

    def _forget_what_left(self, wanted: Iterable[Wanted], *, relisted: bool) -> Mapping[str, Channel]:
        """The channels that prove completeness; what is known of others is given up.

        Not where a list left them out: they may be back in the next one.
        """
        channels = trade_channels(self.exchange, wanted)
        fields = {field_of(symbol, channel) for symbol, channel in channels.items()}
        for field in set() if relisted else self._fields - fields:
            self.publisher.sequences.forget(field)
        self._fields = fields
        return channels

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
