"""The writing side of the bus for whoever reads something again: a producer of its own, paced by the reader.

Nothing is kept here: what does not arrive is missing in coverage, and is read again. So after any failure
the outlet is thrown away, and with it the count of its entries: a number is never used for other content.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from redis import Redis

from trade_platform.adapters.bus import KIND_OF, REPAIR, Entry, encode, market_stream
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.redis_reader import StreamReader, comes_before
from trade_platform.domain.model import Candle, Trade

ENTRY_RECORDS: Final = 1000
MOST_UNSTORED: Final = 20
"""Entries of ours that may wait in a stream; more would delay what comes live behind them."""


class Outlet:
    """One pass of a repair on one exchange's stream. Raises RedisError."""

    def __init__(self, client: Redis, exchange: str, clock: Clock, stored: Callable[[str], str]) -> None:
        """``stored``: the position up to which a stream is stored."""
        self.stream = market_stream(exchange)
        self.records = 0
        self._client = client
        self._exchange = exchange
        self._clock = clock
        self._producer = f"{REPAIR}{time.time_ns() // 1000}"  # a replay's market time may come twice
        self._stored = stored
        self._n = 0
        self._unstored: deque[str] = deque()
        self._memory = StreamReader(client, self.stream, "0-0")

    def put(self, records: Sequence[Trade] | Sequence[Candle]) -> None:
        """Records of one kind go to the stream."""
        for start in range(0, len(records), ENTRY_RECORDS):
            self._put(records[start : start + ENTRY_RECORDS])

    def has_room(self) -> bool:
        """The reader keeps up, and Redis has memory to spare."""
        self._look()
        return self.unstored < MOST_UNSTORED and not self._memory.is_short_of_memory()

    def is_empty(self) -> bool:
        """All that was put is stored."""
        self._look()
        return not self._unstored

    @property
    def unstored(self) -> int:
        """Entries of ours that were not stored at the last look."""
        return len(self._unstored)

    def _look(self) -> None:
        if self._unstored:
            stored = self._stored(self.stream)
            while self._unstored and not comes_before(stored, self._unstored[0]):
                self._unstored.popleft()

    def _put(self, records: Sequence[Trade] | Sequence[Candle]) -> None:
        kind, since = KIND_OF[type(records[0])], self._clock.market()  # nothing before is said to be unbroken
        entry = Entry(kind, self._producer, self._n + 1, since, self._exchange, encode(records))
        identity = self._client.xadd(self.stream, entry.fields())  # type: ignore[arg-type]
        self._n += 1
        self.records += len(records)
        self._unstored.append(identity.decode() if isinstance(identity, bytes) else str(identity))
