"""One loop for an exchange: what it lists, what of that is selected, and the connections that carry it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Mapping

import structlog

from streamers.baseline import LOOK_SECONDS, Baselines
from streamers.breaker import Breaker
from streamers.catch_up import CatchUp, Hole
from streamers.choice import Choice
from streamers.connection import Connection
from streamers.ending import Ending
from streamers.feed import Feed, FeedContext
from streamers.holder import Holder, Surroundings
from streamers.listing import Listing
from streamers.predecessor import Succession
from streamers.probe import Probe
from streamers.publisher import Publisher
from streamers.race import first
from streamers.sequences import MOST_FIELDS, field_of
from streamers.skew import ClockSkew
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.holdings import Held
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.selection_file import SelectionFile
from trade_platform.domain.defences import Defence
from trade_platform.domain.exchange_status import SCOPES
from trade_platform.domain.model import Channel, ExchangeState, GapReason, InstrumentState, Record
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import ConnectionPlan, Exchange, Missing

WATCH_SECONDS = 1.0
ACQUAINTANCE_SECONDS = 3.0
"""How long a start waits for Redis to say where an earlier process ended."""
BEGINNING_SECONDS = 2.0
"""How long a subscription waits to know from which trade on it counts."""

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
        maximum_age_seconds: float | None = None,
        succession: Succession | None = None,
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        """``succession``: another process delivers the same until we do, so that our start is no gap."""
        self.exchange = exchange
        self.publisher = publisher
        self.feeds: dict[str, Feed] = {}
        self.selected = 0
        self.started = clock.monotonic()
        self.last_data: float | None = None
        """Monotonic, as of the last watch."""
        self.skew = ClockSkew()
        self.budget = rest.budget
        self.catch_up = CatchUp(exchange, rest, publisher, clock, without=without)
        self.baselines = Baselines(exchange, rest, publisher, clock, behind=self._late)
        self.probe = Probe(exchange, rest, publisher, clock, reopened=self._hurry, without=without)
        self.listing = Listing(exchange, rest, publisher, clock, recorded=self._recorded)
        self._succession = succession
        if succession is not None:
            succession.stand_before(self.catch_up)
        self._clock = clock
        self._choice = Choice(exchange, selection_file)
        self._websocket_url = websocket_url.rstrip("/")
        self._around = Surroundings(
            publisher=publisher,
            rest=rest,
            clock=clock,
            budget=rest.budget,
            skew=self.skew,
            tls=tls,
            without=without,
        )
        self._context = FeedContext(
            publisher=publisher,
            catch_up=self.catch_up,
            clock=clock,
            budget=rest.budget,
            breaker=Breaker(),
            make=self._connection,
            channels=lambda plan: trade_channels(exchange, plan.wanted),
            maximum_age_seconds=maximum_age_seconds or exchange.maximum_age_seconds,
            on_event=self._heard,
            on_change=self._changed,
            relieved=succession.covers if succession is not None else lambda: False,
            without=without,
        )
        self._fields: set[str] = set()
        """Of the sequence hash, that the selection comes to."""
        self._data_time = 0
        self._skew_told = False
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        publisher.on_missing = self._late

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then the connections are closed, and what was in flight is published."""
        await first(stop, self.publisher.acquainted.wait(), ACQUAINTANCE_SECONDS)
        async with asyncio.TaskGroup() as self._tasks:
            work = [self.catch_up.run(), self.probe.run(), self.baselines.run(), self._look()]
            if self._succession is not None:
                work.append(self._succession.run())
            background = [self._tasks.create_task(one) for one in work]
            await self.listing.read_until_there(stop)
            await self._watch(stop)
            for feed in self.feeds.values():
                feed.stop()
            await asyncio.gather(*self._running.values())
            for task in background:
                task.cancel()

    async def _watch(self, stop: asyncio.Event) -> None:
        """Obey the selection and the list, whichever changes."""
        assert self._tasks is not None
        restart = True
        reading: asyncio.Task[bool] | None = None
        while not stop.is_set():
            if reading is None and self.listing.due:
                reading = self._tasks.create_task(self.listing.read())
            if reading is not None and reading.done():
                if reading.result():
                    await self._apply(stop, restart=False, relisted=True)
                reading = None
            if self._choice.changed:
                self._reload()
                await self._apply(stop, restart=restart)
                restart = False
            await first(stop, None, WATCH_SECONDS)
            self._note_data()
        if reading is not None:
            reading.cancel()

    @property
    def complaint(self) -> str:
        """What a person must put right before anything is recorded; empty when nothing."""
        return self.listing.complaint

    @property
    def live(self) -> bool:
        """All that is selected delivers, or is known to be quiet, and nothing before it is in doubt."""
        if self.complaint or self._choice.selection is None or not self.listing.instruments:
            return False
        if self._succession is not None and self._succession.open:
            return False
        return bool(self.feeds or not self.selected) and all(feed.live for feed in self.feeds.values())

    @property
    def unsettled(self) -> int:
        """Symbols whose trades are not yet known to be whole, and holes that are being re-read."""
        unverified = sum(len(connection.unverified) for connection in self._connections())
        covered = self._succession.open if self._succession is not None else 0
        return unverified + self.baselines.asking + self.publisher.sequences.holding + covered

    def holdings(self) -> Iterator[Held]:
        """What grows beside the publisher's; of several of a kind the fullest."""
        fullest: dict[str, Held] = {}
        for connection in self._connections():
            for one in connection.holdings():
                fullest[one.name] = max(one, fullest.get(one.name, one), key=lambda held: held.size)
        yield from fullest.values()
        yield from self.catch_up.holdings()
        yield from self.baselines.holdings()
        yield Held("instruments_listed", len(self.listing.instruments), MOST_FIELDS)
        yield Held("exchange_states", self.probe.scopes, SCOPES)

    # --- the selection ---

    def _reload(self) -> None:
        before, interval = self._choice.selection, self._choice.quote_interval
        self._choice.read()
        if before is not None and interval != self._choice.quote_interval:
            for feed in self.feeds.values():
                feed.rotate()

    async def _apply(self, stop: asyncio.Event, *, restart: bool, relisted: bool = False) -> None:
        """Make the feeds what selection and instruments come to."""
        if self._choice.selection is None:
            return
        wanted = self._choice.wanted(self.listing.instruments)
        self.selected = sum(one.symbol != "" for one in wanted)
        channels = self._forget_what_left(wanted, relisted=relisted)
        await first(stop, self.baselines.begin(channels), BEGINNING_SECONDS)
        if not stop.is_set():
            plans = self.exchange.plan(wanted, [feed.plan for feed in self.feeds.values()]) if wanted else []
            self._carry(plans, restart=restart)

    def _carry(self, plans: Iterable[ConnectionPlan], *, restart: bool) -> None:
        """One feed a plan."""
        assert self._tasks is not None
        by_name = {plan.name: plan for plan in plans}
        for name, plan in by_name.items():
            feed = self.feeds.get(name)
            if feed is None:
                feed = self.feeds[name] = Feed(plan, self._context, restart=restart)
                self._running[name] = self._tasks.create_task(feed.run(), name=name)
            elif feed.plan != plan:
                feed.change(plan)
        for name in self.feeds.keys() - by_name.keys():
            self.feeds.pop(name).stop()

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
        session = self.exchange.session(plan, quote_interval=self._choice.quote_interval)
        connection = Connection(self._websocket_url + plan.path, session, holder, self._around)
        self.publisher.seal()
        channels = trade_channels(self.exchange, plan.wanted)
        connection.expected = self.publisher.sequences.expected(channels)
        connection.unverified = dict(channels)
        session.expect(connection.expected)
        return connection

    def _heard(self, record: Record) -> None:
        if isinstance(record, InstrumentState):
            self.listing.news = True
        elif isinstance(record, ExchangeState):
            self.probe.heard(record)

    def _changed(self, feed: Feed, ending: Ending | None) -> None:
        if ending is not None:
            self.probe.ended(ending)
        elif not feed.down_reason:
            self.probe.delivers()
        self.probe.need(any(one.down_reason and one.attempts for one in self.feeds.values()))

    def _late(self, missing: Missing) -> None:
        """Redis told only now where an earlier process ended, or REST what a silent symbol has missed."""
        self.catch_up.request(Hole(missing, GapReason.RESTART, self.publisher.last_flush))

    def _hurry(self) -> None:
        """The exchange is open again."""
        self._context.breaker.hurry()
        for feed in self.feeds.values():
            if feed.current is None:
                feed.hurry()

    def _recorded(self) -> Iterable[str]:
        return {one.symbol for feed in self.feeds.values() for one in feed.plan.wanted}

    def _connections(self) -> list[Connection]:
        return [feed.current for feed in self.feeds.values() if feed.current is not None]

    async def _look(self) -> None:
        """Connections that came to carry symbols whose sequence nobody knows."""
        while True:
            for connection in self._connections():
                self.baselines.look(connection)
            await asyncio.sleep(LOOK_SECONDS)

    def _note_data(self) -> None:
        newest = max((connection.last_data_time for connection in self._connections()), default=0)
        if newest > self._data_time:
            self._data_time = newest
            self.last_data = self._clock.monotonic()
            self.probe.flows()
        if self.skew.notable and not self._skew_told:
            self._skew_told = True
            log.warning(
                "The exchange's clock and ours differ: have ours kept by NTP (timedatectl set-ntp true).",
                exchange=self.exchange.key,
                seconds=round(self.skew.seconds or 0.0, 1),
            )


def trade_channels(exchange: Exchange, wanted: Iterable[Wanted]) -> Mapping[str, Channel]:
    """Per symbol the channel whose sequence proves completeness."""
    by_symbol: dict[str, list[Channel]] = {}
    for one in wanted:
        by_symbol.setdefault(one.symbol, []).append(one.channel)
    found = {symbol: exchange.trade_channel(channels) for symbol, channels in by_symbol.items()}
    return {symbol: channel for symbol, channel in found.items() if channel is not None}
