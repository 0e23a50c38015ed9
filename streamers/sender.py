"""Sends parcels to Redis, one round trip at a time, and makes good what Redis forgets.

Redis syncs its log every second: what it confirmed last may be gone when it comes back. So the last
seconds are kept, and whatever of them the streams do not hold after a reconnection is sent again, before
anything else. A stream's last id would prove nothing: several processes write to ``state``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import structlog

from streamers.backlog import Backlog, portion_of
from streamers.bus_link import PARCEL_OVERHEAD, BusLink, BusUnavailable, Parcel, order_of
from streamers.spool import keep
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.holdings import Held
from trade_platform.domain.defences import Defence

HISTORY_SECONDS = 3.0
HISTORY_BYTES = 4 * 1024 * 1024
RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)

log = structlog.get_logger()


class History:
    """What was sent in the last seconds, with its ids on the streams; bounded in time and bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self.high_water = 0
        self._sent: deque[tuple[str, float, Parcel]] = deque()

    def note(self, identities: Iterable[str], parcels: Iterable[Parcel], now: float) -> None:
        """Redis confirmed these."""
        for identity, parcel in zip(identities, parcels, strict=True):
            self._sent.append((identity, now, parcel))
            self.bytes += parcel.size
        while self.bytes > HISTORY_BYTES or self._sent[0][1] < now - HISTORY_SECONDS:
            self.bytes -= self._sent.popleft()[2].size
        self.high_water = max(self.high_water, self.bytes)

    @property
    def ranges(self) -> dict[str, tuple[str, str]]:
        """Oldest and newest id per stream."""
        identities: dict[str, list[str]] = {}
        for identity, _, parcel in self._sent:
            identities.setdefault(parcel.stream, []).append(identity)
        return {
            stream: (min(ids, key=order_of), max(ids, key=order_of)) for stream, ids in identities.items()
        }

    def take_lost(self, held: Mapping[str, AbstractSet[tuple[str, int]]]) -> list[Parcel]:
        """What the streams do not hold, by producer and n; it is no longer part of the history."""
        kept: deque[tuple[str, float, Parcel]] = deque()
        lost: list[Parcel] = []
        for identity, at, parcel in self._sent:
            if (parcel.entry.producer, parcel.entry.n) not in held[parcel.stream]:
                lost.append(parcel)
                self.bytes -= parcel.size
            else:
                kept.append((identity, at, parcel))
        self._sent = kept
        return lost


class Sender:
    """The task between the backlog and Redis."""

    def __init__(
        self, link: BusLink, backlog: Backlog, clock: Clock, *, without: frozenset[Defence] = frozenset()
    ) -> None:
        self.away = ""
        """Why Redis does not take anything, in a sentence; empty while it does."""
        self.in_flight = False
        self.sent_records = 0
        self.history = History()
        self.on_flush: Callable[[float], None] = lambda _: None
        self.on_return: Callable[[], None] = lambda: None
        """Redis is there again, perhaps without all that it knew."""
        self._link = link
        self._backlog = backlog
        self._clock = clock
        self._without = without
        self._again: deque[Parcel] = deque()
        """What Redis lost, oldest first."""
        self._work = asyncio.Event()
        self._acquainted = False
        self._stop_at: float | None = None

    def wake(self) -> None:
        """There is something to send."""
        self._work.set()

    def finish(self, within_seconds: float) -> None:
        """Send what is left, for so long at most; the spool keeps the rest."""
        self._stop_at = self._clock.monotonic() + within_seconds
        self._work.set()

    async def run(self, acquaint: Callable[[BusLink], Awaitable[None]]) -> None:
        """Until ``finish``; nothing is left in memory then. ``acquaint``: what to ask first, once."""
        keeper = asyncio.create_task(self._keep_spool())
        try:
            await self._send_until_finished(acquaint)
        finally:
            keeper.cancel()
            if not (self._backlog.keep_first(self._again) and self._backlog.spill()):
                log.error("Redis is away and the spool takes nothing: what was in memory is lost.")
            self._backlog.spool.close()
            await self._link.close()

    async def step(self, acquaint: Callable[[BusLink], Awaitable[None]]) -> bool:
        """One round trip, after a new connection where it is needed; False where Redis takes nothing."""
        try:
            if not self._link.connected:
                await self._restore(acquaint)
            await self._send_some()
        except BusUnavailable as error:
            if Defence.RECONNECTION in self._without:
                raise
            self._note_away(str(error))
            return False
        return True

    @property
    def idle(self) -> bool:
        """There is nothing to send, and nothing to ask."""
        return self._acquainted and not self._again and not self._backlog

    async def _send_until_finished(self, acquaint: Callable[[BusLink], Awaitable[None]]) -> None:
        failures = 0
        while not self._finished(failures):
            if self.idle:
                self._work.clear()
                await self._work.wait()
            elif await self.step(acquaint):
                failures = 0
            else:
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    def _finished(self, failures: int) -> bool:
        if self._stop_at is None:
            return False
        return not (self._again or self._backlog) or failures > 2 or self._clock.monotonic() > self._stop_at

    async def _send_some(self) -> None:
        """One round trip: the oldest there is."""
        started = self._clock.monotonic()
        if self._again:
            parcels = portion_of(self._again)
            await self._send(parcels)
            for _ in parcels:
                self._again.popleft()
        elif self._backlog:
            parcels = self._backlog.portion()
            if not self._backlog.portioned:  # the disk cannot be read now
                await asyncio.sleep(RETRY_SECONDS[-1])
                return
            await self._send(parcels)
            self._backlog.confirm()
        else:
            return
        self.on_flush(self._clock.monotonic() - started)

    async def _send(self, parcels: Sequence[Parcel]) -> None:
        if not parcels:
            return
        self.in_flight = True
        try:
            identities = await self._link.send(parcels)
        finally:
            self.in_flight = False
        if self.away:
            log.info("Redis takes entries again.")
            self.away = ""
        self.history.note(identities, parcels, self._clock.monotonic())
        self.sent_records += sum(parcel.records for parcel in parcels)

    async def _restore(self, acquaint: Callable[[BusLink], Awaitable[None]]) -> None:
        """Connect, and take up again what Redis lost of the last seconds."""
        await self._link.connect()
        if not self._acquainted:
            await acquaint(self._link)
            self._acquainted = True
        else:
            self.on_return()
        if Defence.RESEND in self._without:
            return
        ranges = self.history.ranges.items()
        held = {stream: await self._link.held(stream, *between) for stream, between in ranges}
        lost = self.history.take_lost(held)
        if lost:
            log.warning("Redis lost entries that it had confirmed: they are sent again.", entries=len(lost))
            self._again.extendleft(reversed(lost))

    def holdings(self) -> Iterator[Held]:
        """The last seconds, and what is to be said again of them."""
        yield Held("sent_again_parcels", len(self._again), HISTORY_BYTES // PARCEL_OVERHEAD)
        yield Held("history_bytes", self.history.bytes, HISTORY_BYTES, self.history.high_water)

    def _note_away(self, sentence: str) -> None:
        if not self.away:
            log.warning("Redis takes nothing; entries are kept in the spool until it does.", error=sentence)
        self.away = sentence
        self._backlog.spill()

    async def _keep_spool(self) -> None:
        spool = self._backlog.spool
        while True:
            await asyncio.sleep(1)
            try:
                if descriptors := spool.take_unsynced():
                    spool.failing = await asyncio.to_thread(keep, descriptors) or spool.failing
            except OSError as error:
                spool.failing = error.strerror or str(error)
