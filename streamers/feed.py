"""Keeps one connection plan connected: waits after every ending, replaces without a break where it can."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

import msgspec
import structlog

from streamers.backoff import Backoff
from streamers.catch_up import CatchUp, Hole
from streamers.connection import Connection, Ending, Holder
from streamers.publisher import Publisher
from trade_platform.adapters.clock import Clock
from trade_platform.domain.model import Gap, GapReason, Record
from trade_platform.exchanges.session import ConnectionPlan, Missing, Reason

SUCCESSION_SECONDS = 30.0
"""How long a successor may take until all of its channels are live."""
LIVE_CHECK_SECONDS = 0.1
RETRY_ROTATION_SECONDS = 60.0

log = structlog.get_logger()


class FeedContext(msgspec.Struct, frozen=True):
    """What the feeds of a process share."""

    publisher: Publisher
    catch_up: CatchUp
    clock: Clock
    make: Callable[[ConnectionPlan, Holder], Connection]
    maximum_age_seconds: float | None
    on_event: Callable[[Record], None]
    on_change: Callable[[], None]
    """A feed came up or went down."""


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
        self._backoff = backoff or Backoff()
        self._stopping = False
        self._rotate = False
        self._wake = asyncio.Event()
        self._silent_since = context.publisher.last_flush if restart else 0
        """Market time of the last data before the present break; 0 where there was none."""
        self._interruption: tuple[GapReason, str] | None = (GapReason.RESTART, "process started")
        self._tasks: set[asyncio.Task[Ending]] = set()

    # --- what the supervisor calls ---

    def stop(self) -> None:
        """End the connection and do not open another."""
        self._stopping = True
        self._wake.set()

    def rotate(self) -> None:
        """Replace the connection, without a break."""
        self._rotate = True
        self._wake.set()

    def hurry(self) -> None:
        """The exchange is open again: wait no longer."""
        self._wake.set()

    def change(self, plan: ConnectionPlan) -> None:
        """Another selection for the same connection."""
        self.plan = plan
        if self.current is not None:
            self.current.change(plan.wanted)

    # --- what the connection calls ---

    def delivering(self, connection: Connection) -> None:
        """First data: the break is over, and what it was is a record."""
        self.down_reason = ""
        if self._interruption is not None:
            reason, detail = self._interruption
            self._interruption = None
            if 0 < self._silent_since < connection.since:
                since, until = self._silent_since, connection.since
                detail = f"{self.plan.name}: {detail}"
                self._context.publisher.event(Gap(None, None, reason, None, None, since, until, detail))
        self._context.on_change()

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
            reason, since = GapReason.DISCONNECT, self._silent_since
        self._context.catch_up.request(Hole(rest, reason, since, self.plan.name))

    def odd(self, since: int, until: int, detail: str) -> None:
        """What cannot be read is a gap, and not the end of all the other channels."""
        detail = f"{self.plan.name}: {detail}"
        self._context.publisher.event(Gap(None, None, GapReason.DECODE, None, None, since, until, detail))

    def event(self, record: Record) -> None:
        self._context.on_event(record)

    # --- its life ---

    async def run(self) -> None:
        """Until ``stop``."""
        try:
            await self._live()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _live(self) -> None:
        while not self._stopping:
            ending = await self._stay_connected()
            self._note(ending)
            if self._stopping:
                return
            delay = self._backoff.delay_after(
                delivered=ending.delivered,
                lived_seconds=ending.lived_seconds,
                at_least=ending.after_seconds,
            )
            await self._wait(None, delay)

    async def _stay_connected(self) -> Ending:
        """Open, and go from successor to successor, until an end without one."""
        self._wake.clear()
        self._rotate = False
        connection, task = self._begin()
        self.current = connection
        rotate_at = self._rotation_time()
        while True:
            await self._wait(task, max(0.0, rotate_at - self._context.clock.monotonic()))
            if task.done():
                return task.result()
            if self._stopping:
                connection.end(Reason.STOPPED)
                return await task
            if not self._rotate and self._context.clock.monotonic() < rotate_at:
                continue
            self._rotate = False
            succession = await self._succeed()
            if succession is None:
                rotate_at = self._context.clock.monotonic() + RETRY_ROTATION_SECONDS
                continue
            connection.end(Reason.ROTATION)
            old, (connection, task) = task, succession
            self.current = connection
            connection.change(self.plan.wanted)  # it may have changed since the successor was made
            self._note_counts(await old)
            rotate_at = self._rotation_time()

    async def _succeed(self) -> tuple[Connection, asyncio.Task[Ending]] | None:
        """A second connection whose channels are all live; None where it could not be had."""
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

    def _rotation_time(self) -> float:
        """A little early, and not all at the same time."""
        age = self._context.maximum_age_seconds
        return self._context.clock.monotonic() + (math.inf if age is None else age * random.uniform(0.9, 1.0))  # noqa: S311

    def _note(self, ending: Ending) -> None:
        last = self.current.last_data_time if self.current is not None else 0
        self.current = None
        self._note_counts(ending)
        if last:
            self._silent_since = last
        if self._interruption is None or last:
            self._interruption = (GapReason.DISCONNECT, f"{ending.reason} {ending.detail}".strip())
        sentence = f"{self.plan.name}: {ending.reason}" + (f" ({ending.detail})" if ending.detail else "")
        if ending.reason is not Reason.STOPPED and self.down_reason != sentence:
            log.warning("A connection ended; trying again with growing pauses.", ending=sentence)
        self.down_reason = sentence
        self._context.on_change()

    def _note_counts(self, ending: Ending) -> None:
        self.endings[ending.reason] = self.endings.get(ending.reason, 0) + 1
        if ending.reason is Reason.ROTATION:
            lived = round(ending.lived_seconds)
            log.info("A connection was replaced.", connection=self.plan.name, lived_seconds=lived)

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
