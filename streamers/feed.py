"""Keeps one connection plan connected: waits after every ending, replaces without a break where it can."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import structlog

from streamers.approach import Approach
from streamers.backoff import Backoff
from streamers.breaker import Breaker
from streamers.catch_up import CatchUp, Hole
from streamers.connection import Connection
from streamers.ending import Ending
from streamers.holder import Holder
from streamers.interruption import Interruption, channels_of
from streamers.oddities import Oddity
from streamers.publisher import Publisher
from streamers.rotation import Rotation
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import Clock
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Channel, Gap, GapReason, Record
from trade_platform.exchanges.session import ConnectionPlan, Missing, Reason

SUCCESSION_SECONDS = 30.0
"""How long a successor may take until all of its channels are live."""
LIVE_CHECK_SECONDS = 0.1

log = structlog.get_logger()


class FeedContext(msgspec.Struct, frozen=True):
    """What the feeds of a process share."""

    publisher: Publisher
    catch_up: CatchUp
    clock: Clock
    budget: Budget
    breaker: Breaker
    make: Callable[[ConnectionPlan, Holder], Connection]
    channels: Callable[[ConnectionPlan], Mapping[str, Channel]]
    """Per symbol of a plan the channel whose sequence proves completeness."""
    maximum_age_seconds: float | None
    on_event: Callable[[Record], None]
    on_change: Callable[[Feed, Ending | None], None]
    """A feed came up, or went down with an ending."""
    relieved: Callable[[], bool] = lambda: False
    """Another process delivers the same until we do."""
    without: frozenset[Defence] = frozenset()


class Feed:
    """One plan, its present connection and, in a rotation, the next one."""

    def __init__(
        self,
        plan: ConnectionPlan,
        context: FeedContext,
        *,
        restart: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        """``restart``: it goes on where an earlier process ended, so that what lies between is a gap."""
        self.plan = plan
        self.current: Connection | None = None
        self.endings: dict[Reason, int] = {}
        self.attempts = 0
        self.messages = 0
        """Of connections that ended."""
        self.bytes = 0
        self.down_reason = "connecting"
        """Why it delivers nothing; empty while it does."""
        self._context = context
        self._approach = Approach(
            plan.name,
            context.breaker,
            context.budget,
            context.clock,
            backoff=backoff,
            without=context.without,
        )
        self._rotation = Rotation(context.maximum_age_seconds)
        self._stopping = False
        self._wake = asyncio.Event()
        self._interruption = Interruption(
            plan.name, context.publisher.down_since(plan.name) if restart else 0
        )
        if restart and not context.relieved():
            context.publisher.note_break(plan.name, self._interruption.since)
        self._tasks: set[asyncio.Task[Ending]] = set()

    @property
    def live(self) -> bool:
        """Every subscription delivers, or is known to be quiet."""
        return self.current is not None and self.current.open and self.current.session.live

    # --- what the supervisor calls ---

    def stop(self) -> None:
        """End the connection and do not open another."""
        self._stopping = True
        self._wake.set()

    def rotate(self) -> None:
        """Replace the connection, without a break."""
        if Defence.ROTATION not in self._context.without:
            self._rotation.wish()
        self._wake.set()

    def hurry(self) -> None:
        """The exchange is open again: wait no longer."""
        self._wake.set()

    def change(self, plan: ConnectionPlan) -> None:
        """Another selection for the same connection."""
        self.plan = plan
        if self.current is not None:
            self.current.change(plan.wanted)
            self.current.unverified = dict(self._context.channels(plan))

    # --- what the connection calls ---

    def delivering(self, connection: Connection) -> None:
        """First data: the break is over, and what it was are records."""
        self.down_reason = ""
        self._approach.delivers()
        if self._interruption.of_a_restart and self._context.relieved():
            self._interruption.relieve()
        self._is_over(connection.since)
        self._context.on_change(self, None)

    def rotation_wished(self, connection: Connection) -> None:
        """The server is about to close this one."""
        if connection is self.current:
            self.rotate()

    def missing(self, connection: Connection, missing: Missing) -> None:
        """Trades were jumped over: those that nobody else delivered are read again."""
        publisher = self._context.publisher
        rest = publisher.sequences.narrow(missing)
        if rest is None:
            return
        if connection.expected.get(missing.symbol) != missing.first - 1:
            reason, since = GapReason.SEQUENCE, connection.last_data_time
        elif self.attempts == 1:
            reason, since = GapReason.RESTART, publisher.last_flush
        else:
            reason, since = GapReason.DISCONNECT, self._interruption.since
        self._context.catch_up.request(Hole(rest, reason, since, self.plan.name))

    def odd(self, oddities: Sequence[Oddity]) -> None:
        """What cannot be read is a gap, and not the end of all the other channels."""
        for one in oddities:
            detail = f"{self.plan.name}: {one.detail}"
            for channel in [one.channel] if one.channel is not None else channels_of(self.plan.wanted):
                self._tell(
                    [Gap(one.symbol, channel, GapReason.DECODE, None, None, one.since, one.until, detail)]
                )

    def event(self, record: Record) -> None:
        self._context.on_event(record)

    # --- its life ---

    async def run(self) -> None:
        """Until ``stop``."""
        try:
            await self._live()
        finally:
            self._approach.forget()
            for task in self._tasks:
                task.cancel()

    async def _live(self) -> None:
        while not self._stopping:
            await self._approach.turn(lambda seconds: self._wait(None, seconds), lambda: self._stopping)
            if self._stopping:
                break
            ending = await self._stay_connected()
            if self._stopping and ending.delivered:
                self._note(ending)
                return
            pause = self._note(ending)
            await self._approach.heed(ending)
            if not self._stopping:
                await self._wait(None, pause)
        # Down when we stop: whoever comes after us, or is there already, does not know since when.
        if not self._interruption.of_a_restart:
            self._is_over(self._context.clock.market())

    async def _stay_connected(self) -> Ending:
        """Open, and go from successor to successor, until an end without one."""
        self._wake.clear()
        clock, rotation = self._context.clock, self._rotation
        rotation.obey()
        connection, task = self._begin()
        self.current = connection
        rotation.begin(clock.monotonic())
        while True:
            await self._wait(task, rotation.seconds(clock.monotonic()))
            if task.done():
                return task.result()
            if self._stopping:
                connection.end(Reason.STOPPED)
                return await task
            if not rotation.due(clock.monotonic()):
                continue
            if Defence.ROTATION in self._context.without:
                connection.end(Reason.ROTATION, "without a successor")
                return await task
            rotation.obey()
            succession = await self._succeed()
            if succession is None:
                rotation.failed(clock.monotonic())
                continue
            before, task_before, (connection, task) = connection, task, succession
            await self._hand_over(before, task_before, connection)
            rotation.begin(clock.monotonic())

    async def _hand_over(self, old: Connection, ending: asyncio.Task[Ending], new: Connection) -> None:
        """The successor delivers: end the one before it, if it has not ended by itself."""
        broken = ending.done()
        old.end(Reason.ROTATION)
        self.current = new
        new.change(self.plan.wanted)  # it may have changed since the successor was made
        new.unverified = {
            symbol: channel
            for symbol, channel in self._context.channels(self.plan).items()
            if symbol in new.unverified or symbol not in new.expected
        }
        ended = await ending
        self._note_counts(ended)
        if broken:  # not all channels of the successor were live by then
            self._interruption.begin(ended, old.last_data_time)
            self._is_over(self._context.clock.market())

    async def _succeed(self) -> tuple[Connection, asyncio.Task[Ending]] | None:
        """A second connection whose channels are all live; None where it could not be had."""
        if not await self._approach.admits():
            return None
        connection, task = self._begin()
        deadline = self._context.clock.monotonic() + SUCCESSION_SECONDS
        while not task.done() and not self._stopping:
            late = self._context.clock.monotonic() > deadline
            if connection.open and (connection.session.live or (late and connection.delivered)):
                return connection, task
            if late:
                break
            await asyncio.wait({task}, timeout=LIVE_CHECK_SECONDS)
        connection.end(Reason.STOPPED if self._stopping else Reason.NEVER_DELIVERED, "as a successor")
        ending = await task
        self._note_counts(ending)
        return None

    def _begin(self) -> tuple[Connection, asyncio.Task[Ending]]:
        self.attempts += 1
        connection = self._context.make(self.plan, self)
        task = asyncio.create_task(self._guard(connection), name=self.plan.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return connection, task

    async def _guard(self, connection: Connection) -> Ending:
        """The process's one boundary: an error of ours in a session ends its connection, not the rest."""
        try:
            return await connection.run()
        except Exception as error:
            log.exception("A session failed; its connection is opened anew.", connection=self.plan.name)
            return Ending(Reason.PROTOCOL, f"our own error: {error!r}")
        finally:
            self.messages += connection.messages
            self.bytes += connection.bytes

    def _note(self, ending: Ending) -> float:
        """What the ending means; the pause that follows from it."""
        last = self.current.last_data_time if self.current is not None else 0
        self.current = None
        self._note_counts(ending)
        self._interruption.begin(ending, last)
        if not self._stopping:
            self._context.publisher.note_break(self.plan.name, self._interruption.since)
        sentence = f"{self.plan.name}: {ending.sentence}"
        if ending.reason is not Reason.STOPPED and self.down_reason != sentence:
            log.warning("A connection ended; trying again with growing pauses.", ending=sentence)
        self.down_reason = sentence
        self._context.on_change(self, ending)
        return self._approach.pause_after(ending)

    def _note_counts(self, ending: Ending) -> None:
        self.endings[ending.reason] = self.endings.get(ending.reason, 0) + 1
        if ending.reason is Reason.ROTATION:
            lived = round(ending.lived_seconds)
            log.info("A connection was replaced.", connection=self.plan.name, lived_seconds=lived)

    def _is_over(self, until: int) -> None:
        """The break, if there is one; said before it is forgotten."""
        self._tell(self._interruption.over(until, self.plan.wanted))
        self._context.publisher.note_break(self.plan.name, 0)

    def _tell(self, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            self._context.publisher.event(gap)

    async def _wait(self, task: asyncio.Task[Ending] | None, seconds: float) -> None:
        """For the connection's end, a wish of the supervisor's, or the time."""
        wish = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait(
                {wish} if task is None else {wish, task},
                timeout=None if math.isinf(seconds) else seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            wish.cancel()
        self._wake.clear()
