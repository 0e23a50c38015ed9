"""An account's way to the bus: each record at once, in order, numbered, and never thrown away.

Nothing waits for company: what comes while a round trip is under way goes together with the next. While
Redis is away entries go to the spool; where neither has room they wait here, and nothing more is read from
the exchange until they have gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from streamers.account.memory import MOST, Memory
from streamers.backlog import Backlog
from streamers.bus_link import BusLink, Parcel
from streamers.sender import Sender
from streamers.spool import Spool
from trade_platform.adapters.bus import ACCOUNT_KIND_OF, Entry, account_stream, encode, heard_key
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.holdings import Held
from trade_platform.domain.accounts import AccountRecord

ENTRY_RECORDS: Final = 500
MOST_WAITING: Final = 10_000
MOST_TIMED: Final = 10_000

Waiting: TypeAlias = tuple[str, Sequence[AccountRecord]]


class AccountPublisher:
    """Of one account; one per process."""

    def __init__(
        self,
        link: BusLink,
        spool: Spool,
        *,
        exchange: str,
        account: str,
        producer: str,
        clock: Clock,
        buffer_records: int = 100_000,
    ) -> None:
        self.stream = account_stream(exchange, account)
        self.memory = Memory()
        self.acquainted = asyncio.Event()
        """Set once it is known how far an earlier process heard."""
        self.backlog = Backlog(spool, buffer_records)
        self.sender = Sender(link, self.backlog, clock)
        self.sender.on_return = self.memory.owe_all
        self.sender.on_flush = self._flushed
        self.on_sent: Callable[[float], None] = lambda _: None
        """Takes the seconds from a message, read, to Redis' answer."""
        self.counts: dict[str, int] = {}
        """Records handed over, by kind."""
        self._exchange = exchange
        self._producer = producer
        self._clock = clock
        self._n = 0
        self._placed_records = 0
        self._waiting: deque[Waiting] = deque()
        self._timed: deque[tuple[int, float]] = deque()
        """(records placed in all, when they were told)."""

    def publish(self, records: Sequence[AccountRecord]) -> None:
        """To the bus, now; what cannot go yet goes before all that follows."""
        self.memory.note(records)
        at = self._clock.monotonic()
        for kind, group in groupby(records, key=lambda one: ACCOUNT_KIND_OF[type(one)]):
            same = list(group)
            for start in range(0, len(same), ENTRY_RECORDS):
                self._waiting.append((kind, same[start : start + ENTRY_RECORDS]))
        self._place_all(at)

    def promise(self) -> None:
        """Let the hash say what is owed to it, where no record carried it: an entry without records does."""
        if self.acquainted.is_set() and not self._waiting:
            marks = self.memory.owed()
            if marks and not self._place("account_note", (), marks):
                self.memory.owe(marks)

    def retry(self) -> None:
        """There may be room again."""
        if self._waiting:
            self._place_all(self._clock.monotonic())

    @property
    def blocked(self) -> bool:
        """Nothing more may be read from the exchange."""
        return bool(self._waiting)

    def open(self) -> None:
        """Take the spool and learn from it. Raises SpoolUnusable."""
        for parcel in self.backlog.open():
            self.memory.learn(parcel.sequences)

    async def run(self) -> None:
        """Send until ``finish``."""
        await self.sender.run(self._acquaint)

    def finish(self, within_seconds: float) -> None:
        """Nothing more will come: send what is left, or leave it in the spool."""
        self.backlog.closing = True
        self.retry()
        self.promise()
        self.sender.finish(within_seconds)

    def holdings(self) -> Iterator[Held]:
        """What lies between the socket and Redis."""
        yield Held("waiting_batches", len(self._waiting), MOST_WAITING)
        yield Held("known_names", len(self.memory), 3 * MOST)
        yield from self.backlog.holdings()
        yield from self.sender.holdings()

    async def _acquaint(self, link: BusLink) -> None:
        self.memory.learn(await link.marks(heard_key(self.stream)))
        self.acquainted.set()

    def _place_all(self, at: float) -> None:
        while self._waiting:
            kind, records = self._waiting[0]
            marks = self.memory.owed() if self.acquainted.is_set() else {}
            if not self._place(kind, records, marks):
                self.memory.owe(marks)
                return
            self._waiting.popleft()
            if self.backlog.spooling or self.sender.away or len(self._timed) >= MOST_TIMED:
                self._timed.clear()
            else:
                self._timed.append((self._placed_records, at))

    def _place(self, kind: str, records: Sequence[AccountRecord], marks: dict[str, int]) -> bool:
        entry = Entry(
            kind, self._producer, self._n + 1, self._clock.market(), self._exchange, encode(records)
        )
        if not self.backlog.add(Parcel(self.stream, entry, marks, len(records), heard_key(self.stream))):
            return False
        self._n += 1
        self._placed_records += len(records)
        self.counts[kind] = self.counts.get(kind, 0) + len(records)
        self.sender.wake()
        return True

    def _flushed(self, _: float) -> None:
        now = self._clock.monotonic()
        while self._timed and self._timed[0][0] <= self.sender.sent_records:
            self.on_sent(now - self._timed.popleft()[1])
