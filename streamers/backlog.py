"""Parcels that Redis has not confirmed, in one order: in memory while it follows, on disk when it does not.

When Redis is away, refuses, or cannot follow, all that waits in memory moves to the spool, and what
comes from then on goes there, too; portions are taken from the spool's oldest until it is empty, and
memory takes over again. Nothing is ever in both, so nothing can overtake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec
import structlog

from streamers.bus_link import Parcel
from streamers.spool import Spool
from trade_platform.adapters.bus import NEVER_SHED
from trade_platform.adapters.holdings import Held

PORTION_PARCELS = 64
PORTION_BYTES = 1024 * 1024

log = structlog.get_logger()
_decoder = msgspec.msgpack.Decoder(Parcel)


class Backlog:
    """A bounded queue of parcels."""

    def __init__(self, spool: Spool, limit_records: int, *, disk: bool = True) -> None:
        self.spool = spool
        self._disk = disk
        """Without it all stays in memory, and what does not fit is refused."""
        self.spooling = False
        self.records = 0
        """In memory."""
        self.high_water = 0
        self._limit = limit_records
        self._memory: deque[Parcel] = deque()
        self.closing = False
        """The end of the process: events go to disk whatever its bound, there is no later for them."""
        self.portioned = 0
        """How many the last portion came from, damaged ones included."""

    def open(self) -> Iterator[Parcel]:
        """Take the spool, and look at what an earlier process left in it. Raises SpoolUnusable."""
        self.spool.open()
        self.spooling = not self.spool.empty
        if self.spooling:
            log.info("The spool holds entries of an earlier run: they go first.", bytes=self.spool.bytes)
        return (parcel for parcel in map(_decode, self.spool) if parcel is not None)

    def __bool__(self) -> bool:
        return bool(self._memory) or not self.spool.empty

    @property
    def only_in_memory(self) -> bool:
        """There is something that neither Redis nor the disk has."""
        return bool(self._memory)

    def add(self, parcel: Parcel) -> bool:
        """At the end; False where there is no room, neither in memory nor on disk."""
        if not self.spooling and self.records + parcel.records > self._limit and not self.spill():
            return False
        if self.spooling:
            payload = msgspec.msgpack.encode(parcel)
            event = parcel.entry.kind in NEVER_SHED
            room = (event and self.closing) or self.spool.admits(len(payload), event=event)
            return room and self.spool.append(payload)
        self._memory.append(parcel)
        self.records += parcel.records
        self.high_water = max(self.high_water, self.records)
        return True

    def spill(self) -> bool:
        """Move what is in memory to disk; False where the disk does not take it, and nothing moved."""
        if self.spooling:
            return True
        if not self._disk:
            return not self._memory
        for number, parcel in enumerate(self._memory, 1):
            payload = msgspec.msgpack.encode(parcel)
            if not (self.spool.admits(len(payload), event=True) and self.spool.append(payload)):
                self.spool.clear()
                return False
            if number == self.portioned:
                self.spool.claim()
        self.spooling = bool(self._memory)
        self._memory.clear()
        self.records = 0
        return True

    def keep_first(self, parcels: Iterable[Parcel]) -> bool:
        """The end of the process: on disk before all that waits; False where the disk does not take it."""
        payloads = [msgspec.msgpack.encode(parcel) for parcel in parcels]
        return not payloads or self.spool.prepend(payloads)

    def portion(self) -> list[Parcel]:
        """The oldest, as many as one flush carries."""
        if not self.spooling:
            parcels = portion_of(self._memory)
            self.portioned = len(parcels)
            return parcels
        payloads = self.spool.peek(PORTION_BYTES)
        self.portioned = len(payloads)
        return [parcel for parcel in map(_decode, payloads) if parcel is not None]

    def confirm(self) -> None:
        """The last portion is on the bus; it may have moved to disk meanwhile."""
        taken, self.portioned = self.portioned, 0
        if self.spooling:
            self.spool.confirm_claimed()
        else:
            for _ in range(taken):
                self.records -= self._memory.popleft().records
        if self.spooling and self.spool.empty:
            self.spooling = False
            log.info("The spool is empty: entries go to Redis directly again.")

    def room_for(self, payload_bytes: int) -> bool:
        """Would numbers of that size be taken?"""
        return not self.spooling or self.spool.admits(payload_bytes)

    def holdings(self) -> Iterator[Held]:
        """In memory and on disk."""
        spool = self.spool
        most = spool.limit_bytes + spool.reserve_bytes
        yield Held("backlog_records", self.records, self._limit, self.high_water)
        yield Held("spool_bytes", spool.bytes, most, spool.high_water)


def portion_of(parcels: Iterable[Parcel]) -> list[Parcel]:
    """As many from the front as one flush carries, at least one where there is any."""
    portion: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if len(portion) == PORTION_PARCELS or size > PORTION_BYTES:
            break
        portion.append(parcel)
        size += parcel.size
    return portion


def _decode(payload: bytes) -> Parcel | None:
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        log.warning("The spool holds an entry that this version cannot read: it is passed over.")
        return None
