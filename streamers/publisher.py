"""From sessions to the bus: records are gathered for some milliseconds, sealed into entries, and queued.

Numbers wait for company, events do not. Where neither memory nor disk has room, numbers are shed and
become a Gap; events wait, and nothing more is read from any exchange until they have gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog

from streamers.backlog import Backlog
from streamers.bus_link import GONE, LAST_FLUSH, BusLink, Parcel
from streamers.sender import Sender
from streamers.sequences import Sequences
from streamers.shed import Shed, spans_of
from streamers.spool import Spool
from streamers.stalled import MOST_STALLED, Waiting, merged
from trade_platform.adapters.bus import EVENTS, KIND_OF, Entry, encode, stream_of
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.holdings import Held
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import (
    Candle,
    Channel,
    Gap,
    GapReason,
    Instrument,
    Liquidation,
    Number,
    Record,
    Trade,
)
from trade_platform.exchanges.session import Missing

LINGER_SECONDS = 0.003
"""How long records wait for company before they are sealed."""
BLOCKED_SECONDS = 0.05
"""Between two looks whether there is room for events again."""
ENTRY_RECORDS = 1000
UNSEALED_RECORDS = 100_000
"""No connection reads on while events wait, and its batch of a thousand goes however long Redis takes."""
SHED_REPORT_SECONDS = 30.0
ROOM_BYTES = 256 * 1024
"""So much room must be left again before it is told what was shed."""
BUFFERED: tuple[type[Record], ...] = (Trade, Candle, Number, Liquidation, Instrument)

log = structlog.get_logger()


class Inlet:
    """Where one connection leaves its records, by type, until they are sealed."""

    __slots__ = ("buffers", "since")

    def __init__(self) -> None:
        self.buffers: dict[type[Record], list[Record]] = {kind: [] for kind in BUFFERED}
        self.since = 0
        """Market time since when it delivers unbroken; 0: the next data begins anew."""


class Publisher:
    """One exchange's way to the bus; one per process."""

    def __init__(
        self,
        link: BusLink,
        spool: Spool,
        *,
        exchange: str,
        producer: str,
        clock: Clock,
        buffer_records: int = 100_000,
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        self.sequences = Sequences()
        self.shed = Shed()
        self.backlog = Backlog(spool, buffer_records, disk=Defence.SPOOL not in without)
        self.sender = Sender(link, self.backlog, clock, without=without)
        self.sender.on_return = self._remind
        self.acquainted = asyncio.Event()
        """Set once it is known where earlier processes ended."""
        self.last_flush = 0
        """Market time up to which an earlier process told all; 0 where there was none."""
        self.on_missing: Callable[[Missing], None] = lambda _: None
        self.counts: dict[str, int] = {}
        """Records handed over, by kind."""
        self._exchange = exchange
        self._producer = producer
        self._clock = clock
        self._numbers: dict[str, int] = {}
        """The last n per stream."""
        self._inlets: list[Inlet] = []
        self._stalled: deque[Waiting] = deque()
        self._stalled_high = self._unsealed_high = 0
        self._withheld: dict[tuple[str, Channel], Missing] = {}
        """Trades that were shed: promised only when the Gap that names them is on its way."""
        self._timer: asyncio.TimerHandle | None = None
        self._shed_since: float | None = None
        self._left_down: dict[str, int] = {}
        """Since when feeds of an earlier process were down when it ended; 0 where they were not."""
        self._down: dict[str, int] = {}
        """The same of ours, for the process after this one."""
        self._down_owed: dict[str, int] = {}
        self._began = 0
        """When the first data came, where that was before we were acquainted."""
        self._told = 0
        """Up to when all is on its way or told to be missing, as long as no parcel says so."""

    # --- what connections call ---

    def inlet(self) -> Inlet:
        """A new connection's."""
        inlet = Inlet()
        self._inlets.append(inlet)
        return inlet

    def remove(self, inlet: Inlet) -> None:
        """Its connection ended; what it still holds is sealed."""
        self.seal()
        self._inlets.remove(inlet)

    def touch(self) -> None:
        """Records were left in an inlet: seal them soon."""
        if self._timer is None:
            pause = BLOCKED_SECONDS if self._stalled else LINGER_SECONDS
            self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def event(self, record: Record) -> None:
        """Events go at once."""
        self._admit(KIND_OF[type(record)], (record,), self._clock.market())

    def publish(self, records: Iterable[Record], since: int) -> None:
        """Records that did not come by a connection's stream: instruments, trades read again."""
        by_type: dict[type[Record], list[Record]] = {}
        for record in records:
            by_type.setdefault(type(record), []).append(record)
        for kind, batch in by_type.items():
            for start in range(0, len(batch), ENTRY_RECORDS):
                self._admit(KIND_OF[kind], batch[start : start + ENTRY_RECORDS], since)

    def promise(self) -> None:
        """Let the hash say now what is owed to it: an entry without a trade carries it."""
        if (self.sequences.owing or self._told or self._down_owed) and not self._stalled:
            self._place("trade", (), self._clock.market())  # where there is no room: with the next

    def note_break(self, name: str, since: int) -> None:
        """A feed is down since this market time; 0: it told so, or is not. With the next entry it is kept."""
        if since != self._down.get(name, self._left_down.get(name, 0)):
            self._down_owed[LAST_FLUSH + name] = since or GONE
            self._down[name] = since

    def down_since(self, name: str) -> int:
        """From when on nobody has told what this feed missed; 0 where no process was before this one."""
        return self._left_down.get(name, 0) or self.last_flush

    @property
    def blocked(self) -> bool:
        """Events wait for room: nothing more may be read from any exchange."""
        return bool(self._stalled)

    def seal(self) -> None:
        """Make entries of all that lies in the inlets, unless events wait: nothing may overtake them."""
        while self._stalled and self._place(*self._stalled[0]):
            self._stalled.popleft()
        if self._stalled:
            return
        now = self._clock.market()
        self._unsealed_high = max(self._unsealed_high, self._unsealed())
        batches = [
            (kind, batch, inlet) for inlet in self._inlets for kind, batch in inlet.buffers.items() if batch
        ]
        if batches and not self._began and not self.acquainted.is_set():
            self._began = now
        for left, (kind, batch, inlet) in enumerate(batches, 1 - len(batches)):
            inlet.buffers[kind] = []
            self._admit_all(KIND_OF[kind], batch, inlet, told=now if left == 0 else None)
        if self.shed:
            self._report_shed()

    def holdings(self) -> Iterator[Held]:
        """What lies between the connections and Redis."""
        unsealed = self._unsealed()
        yield Held("unsealed_records", unsealed, UNSEALED_RECORDS, self._unsealed_high)
        yield Held("stalled_events", len(self._stalled), MOST_STALLED, self._stalled_high)
        yield from self.backlog.holdings()
        yield from self.sender.holdings()
        yield from self.sequences.holdings()
        yield from self.shed.holdings()

    # --- its life ---

    def open(self) -> None:
        """Take the spool and learn from it what an earlier process had reached. Raises SpoolUnusable."""
        for parcel in self.backlog.open():
            for field in parcel.sequences:  # later than what was learnt so far
                self._left_down.pop(field.removeprefix(LAST_FLUSH), None)
            self._learn(parcel.sequences)

    async def run(self) -> None:
        """Send until ``finish``."""
        try:
            await self.sender.run(self._acquaint)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def finish(self, within_seconds: float) -> None:
        """Nothing more will come: send what is left, or leave it in the spool."""
        self.backlog.closing = True
        self.seal()
        if self.shed:
            self._report_shed(now=True)
        if self._down_owed:
            self.promise()
        self.sender.finish(within_seconds)

    async def _acquaint(self, link: BusLink) -> None:
        for hole in self._learn(await link.sequences(self._exchange)):
            self.on_missing(hole)
        self.acquainted.set()
        until = self._began or self._clock.market()
        if self._inlets and 0 < self.last_flush < until:  # who connected before could not know
            detail = "Redis told late where an earlier process ended"
            since = min([self.last_flush, *filter(None, self._left_down.values())])
            self.event(Gap(None, None, GapReason.RESTART, None, None, since, until, detail))
        self.promise()

    def _learn(self, stored: Mapping[str, int]) -> list[Missing]:
        self.last_flush = max(self.last_flush, stored.get(LAST_FLUSH, 0))
        sequences = {field: last for field, last in stored.items() if not field.startswith(LAST_FLUSH)}
        for field in stored.keys() - sequences.keys() - {LAST_FLUSH}:
            self._left_down.setdefault(field.removeprefix(LAST_FLUSH), max(0, stored[field]))
        return self.sequences.learn(sequences)

    def _remind(self) -> None:
        """Redis came back, perhaps empty: it learns anew even of symbols that are not traded."""
        self.sequences.owe(self.sequences.seen)
        self._down_owed |= {LAST_FLUSH + name: since for name, since in self._down.items() if since}

    # --- sealing ---

    def _tick(self) -> None:
        self._timer = None
        waiting = self.sender.in_flight and self._unsealed() < ENTRY_RECORDS
        if self.blocked or waiting:
            self.touch()
        if not waiting:
            self.seal()

    def _unsealed(self) -> int:
        return sum(len(batch) for inlet in self._inlets for batch in inlet.buffers.values())

    def _admit_all(self, kind: str, batch: list[Record], inlet: Inlet, *, told: int | None) -> None:
        for start in range(0, len(batch), ENTRY_RECORDS):
            part = batch if len(batch) <= ENTRY_RECORDS else batch[start : start + ENTRY_RECORDS]
            last = start + ENTRY_RECORDS >= len(batch)
            since = inlet.since or _received(
                part
            )  # asked anew: what stood before this part may have been shed
            if not self._admit(kind, part, since, told=told if last else None):
                inlet.since = 0

    def _admit(self, kind: str, batch: Sequence[Record], since: int, *, told: int | None = None) -> bool:
        """False where the batch had to be shed."""
        if kind in EVENTS:
            if self._stalled or not self._place(kind, batch, since):
                self._stall((kind, batch, since))
            return True
        if not self._stalled and self._place(kind, batch, since, told=told):
            return True
        self._withhold(kind, batch)
        self.shed.add(batch)
        if self._shed_since is None:
            self._shed_since = self._clock.monotonic()
            log.error("Redis takes nothing and the spool is full or failing: numbers are shed from here on.")
        return False

    def _stall(self, event: Waiting) -> None:
        self._stalled.append(event)
        if len(self._stalled) > MOST_STALLED:
            self._stalled = merged(self._stalled)
        self._stalled_high = max(self._stalled_high, len(self._stalled))
        self.touch()

    def _withhold(self, kind: str, batch: Sequence[Record]) -> None:
        """A process that dies before it has told what was shed leaves it to the next one to find."""
        if kind != "trade":
            return
        for missing in spans_of(batch):  # type: ignore[arg-type]
            place = missing.symbol, missing.channel
            before = self._withheld.get(place)
            if before is None or missing.first < before.first:
                self.sequences.hold(missing)
                self._withheld[place] = missing
                if before is not None:
                    self.sequences.release(before)

    def _place(self, kind: str, batch: Sequence[Record], since: int, *, told: int | None = None) -> bool:
        stream = stream_of(self._exchange, kind)
        promises: dict[str, int] = {}
        if kind == "trade":
            promises, missing = self.sequences.note(batch)  # type: ignore[arg-type]
            for hole in missing:
                self.on_missing(hole)  # first: it holds the promise back; and even where the batch is shed
        promises |= self.sequences.owed()
        if told is None or self.shed:
            told = self._told
        if not self.acquainted.is_set():  # an earlier process may have ended before what is promised here
            self.sequences.owe(promises)
            promises = {}
        elif told:
            promises[LAST_FLUSH] = told
        down = self._down_owed if self.acquainted.is_set() else {}
        n = self._numbers.get(stream, 0) + 1
        entry = Entry(kind, self._producer, n, since, self._exchange, encode(batch))
        if not self.backlog.add(Parcel(stream, entry, promises | down, len(batch))):
            promises.pop(LAST_FLUSH, None)
            self.sequences.owe(promises)
            return False
        self._told = 0 if self.acquainted.is_set() else told
        self._down_owed = {} if self.acquainted.is_set() else self._down_owed
        self._numbers[stream] = n
        self.counts[kind] = self.counts.get(kind, 0) + len(batch)
        self.sender.wake()
        return True

    def _report_shed(self, *, now: bool = False) -> None:
        """Tell what was shed once there is room again, or when it lasts."""
        assert self._shed_since is not None
        lasting = self._clock.monotonic() - self._shed_since > SHED_REPORT_SECONDS
        if now or lasting or self.backlog.room_for(ROOM_BYTES):
            self._shed_since = None
            for gap in self.shed.take():
                self.event(gap)
            withheld, self._withheld = self._withheld, {}
            for missing in withheld.values():
                self.sequences.release(missing)


def _received(batch: Sequence[Record]) -> int:
    """When its first record came, our clock: later than that, it would not count as heard."""
    return int(batch[0].receive_time)  # type: ignore[union-attr]
