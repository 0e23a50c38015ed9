"""Keeps one account connected and its stream complete: goes live, and reads again what passed unheard."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog

from streamers.account.conversation import Around, Conversation
from streamers.account.rereading import Rereading
from streamers.account.sight import OVERLAP, Sight
from streamers.backoff import Backoff
from streamers.ending import Ending
from streamers.rotation import Rotation
from trade_platform.adapters.metrics import Health
from trade_platform.adapters.vault_client import VaultRefused, VaultUnavailable
from trade_platform.domain.accounts import Blindness
from trade_platform.exchanges.limits import CONNECTIONS
from trade_platform.exchanges.session import Reason

FIRST_REACH: Final = 86_400_000_000
"""Market microseconds that are read again where nobody has ever listened; reconciliation reads the past."""
SUCCESSION_SECONDS: Final = 30.0
LATE_SECONDS: Final = 10.0
"""REST may be behind the stream: so long after an interval was read again, it is read once more."""
PROMISE_SECONDS: Final = 10.0
KEY_LIFE: Final = 3_600_000_000
"""Market microseconds: a stream may have ended so long before we are told so, with the socket alive."""

log = structlog.get_logger()


class Timing(msgspec.Struct, frozen=True):
    """Tests are in a hurry."""

    late_seconds: float = LATE_SECONDS
    promise_seconds: float = PROMISE_SECONDS
    backoff: Callable[[], Backoff] = Backoff


class Driver:
    """One account."""

    def __init__(
        self, around: Around, *, maximum_age_seconds: float | None = None, timing: Timing | None = None
    ) -> None:
        timing = timing or Timing()
        self.sight = Sight()
        self.rereading = Rereading(around.rest, around.publisher, around.clock, backoff=timing.backoff)
        self.current: Conversation | None = None
        self.down_reason = "connecting"
        """Why nothing is heard; empty while it is."""
        self.endings: dict[str, int] = {}
        self._around = around
        self._key = around.key
        self._timing = timing
        self._rotation = Rotation(maximum_age_seconds)
        self._backoff = timing.backoff()
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._seeing: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[None]] = set()
        self._begun = asyncio.Event()
        """It is told since when nobody has listened."""

    @property
    def live(self) -> bool:
        """It hears, and nothing that passed unheard is still to be read."""
        heard = self.current is not None and self.current.ready.is_set()
        return heard and self._begun.is_set() and not self.sight.blind

    def health(self) -> Health:
        """Ill while nothing is heard, or what was missed cannot be read."""
        reason = self.down_reason or self.rereading.complaint
        details: dict[str, str | float | bool | None] = {
            "account": self._around.account,
            "live": self.live,
            "unsettled": not self.live,
            "blind_since": self.sight.since,
        }
        return Health(ok=not reason, reason=reason, details=details)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``."""
        tasks = [
            asyncio.create_task(work) for work in (self._promise(), self._wait_for(stop), self._begin_sight())
        ]
        try:
            while not self._stop.is_set():
                ending = await self._stay_connected()
                pause = self._note(ending)
                if ending.reason is Reason.RATE_LIMITED:
                    await self._around.budget.be_quiet(ending.after_seconds, CONNECTIONS)
                await self._pause(pause)
        finally:
            for task in (*tasks, *self._late):
                task.cancel()
            await asyncio.gather(*tasks, *self._late, return_exceptions=True)

    async def _stay_connected(self) -> Ending:
        """From successor to successor, until an end without one."""
        clock = self._around.clock
        await self._turn()
        self.current, task = await self._begin()
        self._rotation.obey()
        self._rotation.begin(clock.monotonic())
        while True:
            await self._first_of(task, self._rotation.seconds(clock.monotonic()))
            if self._stop.is_set():
                self.current.end(Reason.STOPPED)
                return await task
            if task.done():
                return task.result()
            if not self._rotation.due(clock.monotonic()):
                continue
            self._rotation.obey()
            successor = await self._succeed()
            if successor is None:
                self._rotation.failed(clock.monotonic())
                continue
            before, before_task = self.current, task
            self.current, task = successor
            broken = before_task.done()
            before.end(Reason.ROTATION)
            self._count(await before_task)
            if broken:  # it ended before its successor heard
                self._lost("the connection ended while it was replaced", before.heard_at)
                self._begin_seeing()
            self._rotation.begin(clock.monotonic())

    async def _turn(self) -> None:
        """Within the exchange's limits, or until asked to stop."""
        turn = asyncio.create_task(self._around.budget.take(CONNECTIONS))
        try:
            await self._first_of(turn, math.inf)
        finally:
            turn.cancel()

    async def _succeed(self) -> tuple[Conversation, asyncio.Task[Ending]] | None:
        """A second connection that hears all; the first still does meanwhile."""
        if not (await self._around.budget.ask(CONNECTIONS)).taken:
            return None
        conversation, task = await self._begin()
        ready = asyncio.create_task(conversation.ready.wait())
        try:
            await asyncio.wait({ready, task}, timeout=SUCCESSION_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if conversation.ready.is_set() and not task.done():
            return conversation, task
        conversation.end(Reason.NEVER_DELIVERED, "as a successor")
        self._count(await task)
        return None

    async def _begin(self) -> tuple[Conversation, asyncio.Task[Ending]]:
        with suppress(VaultUnavailable, VaultRefused):  # who signs will say so
            self._key = (await self._around.vault.describe(self._around.account)).key  # it may be rotated
        conversation = Conversation(self._around, self._key, self._changed)
        return conversation, asyncio.create_task(self._guard(conversation))

    async def _guard(self, conversation: Conversation) -> Ending:
        """The process's one boundary: an error of ours in a session ends its connection, not the account."""
        try:
            return await conversation.run()
        except Exception as error:
            log.exception("A session failed; its connection is opened anew.")
            return Ending(Reason.PROTOCOL, f"our own error: {error!r}")

    # --- what conversations tell ---

    def _changed(self, conversation: Conversation, what: str) -> None:
        match what:
            case "heard":
                self.sight.heard(conversation.surely_heard_at)
            case "ready":
                self.down_reason = ""
                self.sight.heard(conversation.ready_since)
                self._begin_seeing()
            case "ended":
                earliest = max(conversation.ready_since, self._around.clock.market() - KEY_LIFE)
                self._lost("the exchange ended the private stream", earliest)
            case "rotate":
                self._rotation.wish()
                self._wake.set()
            case _:  # unreadable
                self._lost("a private message could not be read")
                self._begin_seeing()

    def _lost(self, reason: str, heard: int | None = None) -> None:
        """``heard``: up to when all was heard, where that is not the last message of all."""
        blindness = self.sight.lost(reason, self._around.clock.market(), heard)
        if blindness is not None:
            self._tell(blindness)

    def _tell(self, blindness: Blindness) -> None:
        self._around.publisher.publish([blindness])

    # --- what was missed ---

    async def _begin_sight(self) -> None:
        """Nobody has listened since an earlier process did."""
        publisher, clock = self._around.publisher, self._around.clock
        await publisher.acquainted.wait()
        if not publisher.memory.heard:  # kept, so that a process after this one closes the same interval
            publisher.memory.hear(clock.market() - FIRST_REACH)
        since = publisher.memory.heard - OVERLAP
        self._tell(self.sight.begin(since, "the process started", clock.market()))
        self._begun.set()

    def _begin_seeing(self) -> None:
        if self._seeing is None or self._seeing.done():
            self._seeing = asyncio.create_task(self._see())
            self._seeing.add_done_callback(self._saw)

    def _saw(self, seeing: asyncio.Task[None]) -> None:
        """An error of ours while it was read again: all of it begins anew, with another connection."""
        if not seeing.cancelled() and (error := seeing.exception()) is not None:
            log.error("What passed unheard could not be read again.", exc_info=error)
            if self.current is not None:
                self.current.end(Reason.PROTOCOL, f"our own error: {error!r}")

    async def _see(self) -> None:
        """Read again until nothing is missing; cancelled when the connection ends, and begun anew."""
        await self._begun.wait()
        while self.sight.since is not None:
            since = self.sight.since
            until, remark = await self.rereading.read(since)
            blindness = self.sight.restored(since, until, self._around.clock.market(), remark)
            if blindness is not None:
                self._tell(blindness)
                log.info("What passed unheard was read again.", records=self.rereading.records)
                late = asyncio.create_task(self._read_late(since, until))
                self._late.add(late)
                late.add_done_callback(self._late.discard)

    async def _read_late(self, since: int, until: int) -> None:
        await asyncio.sleep(self._timing.late_seconds)
        await self.rereading.again(since, until)

    async def _promise(self) -> None:
        """Let a restart know how far we heard."""
        while True:
            await asyncio.sleep(self._timing.promise_seconds)
            self._remember()

    def _remember(self) -> None:
        publisher = self._around.publisher
        if self._begun.is_set() and self.live and self.sight.heard_at:
            publisher.memory.hear(self.sight.heard_at)
        publisher.promise()

    # --- endings ---

    def _note(self, ending: Ending) -> float:
        """What the ending means; the pause that follows from it."""
        if self._stop.is_set():
            self._remember()
        self.current = None
        self._count(ending)
        if self._seeing is not None:
            self._seeing.cancel()
            self._seeing = None
        if self._begun.is_set() and not self._stop.is_set():
            self._lost(ending.sentence)
        if ending.reason is not Reason.STOPPED and self.down_reason != ending.sentence:
            log.warning(
                "The private connection ended; trying again with growing pauses.", ending=ending.sentence
            )
        self.down_reason = ending.sentence
        return self._backoff.delay_after(
            delivered=ending.delivered,
            lived_seconds=ending.lived_seconds,
            at_least=ending.after_seconds,
            accepted=ending.accepted,
            waited_seconds=ending.waited_seconds,
        )

    def _count(self, ending: Ending) -> None:
        self.endings[ending.reason] = self.endings.get(ending.reason, 0) + 1

    # --- waiting ---

    async def _wait_for(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stop.set()
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _first_of(self, task: asyncio.Task[Any], seconds: float) -> None:
        """The task's end, a wish, or the time."""
        wish = asyncio.create_task(self._wake.wait())
        try:
            timeout = None if math.isinf(seconds) else seconds
            await asyncio.wait({wish, task}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wish.cancel()
        if not self._stop.is_set():
            self._wake.clear()
