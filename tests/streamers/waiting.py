"""Waiting for conditions, and reading what arrived on the bus."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from redis import Redis

from trade_platform.adapters.bus import Entry, sequence_key
from trade_platform.domain.model import Gap, Record, Trade

PATIENCE_SECONDS = 40.0


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Look every few milliseconds; generous, because nothing here judges speed."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():  # noqa: ASYNC110 - many conditions, no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never came true: {what or condition}") from None


class Bus:
    """What a reader of the streams sees."""

    def __init__(self, url: str) -> None:
        self.client = Redis.from_url(url)

    def entries(self, stream: str = "market:fictional") -> list[Entry]:
        return [Entry.from_fields(fields) for _, fields in self.client.xrange(stream)]

    def records(self, stream: str = "market:fictional") -> list[Record]:
        """As the processor takes them: a repeated n is passed over, a jump is an error."""
        numbers: dict[str, int] = {}
        records: list[Record] = []
        for entry in self.entries(stream):
            last = numbers.get(entry.producer, 0)
            assert entry.n <= last + 1, f"{entry.producer}: {entry.n} after {last}"
            if entry.n == last + 1:
                numbers[entry.producer] = entry.n
                records += entry.records()
        return records

    def trades(self, symbol: str = "AAA") -> list[int]:
        """Sequences in order of arrival."""
        return [one.sequence for one in self.records() if isinstance(one, Trade) and one.symbol == symbol]

    def has(self, count: int, symbol: str = "AAA") -> bool:
        """Are all trades from 1 to ``count`` there?"""
        return set(self.trades(symbol)) == set(range(1, count + 1))

    def gaps(self) -> list[Gap]:
        return [one for one in self.records("state") if isinstance(one, Gap)]

    def promised(self, field: str = "AAA|trade") -> int:
        return int(self.client.hget(sequence_key("fictional"), field) or 0)

    def close(self) -> None:
        self.client.close()


def contiguous(entries: Sequence[Entry]) -> bool:
    """Is n gapless per producer, without repetition?"""
    numbers: dict[str, itertools.count[int]] = {}
    return all(entry.n == next(numbers.setdefault(entry.producer, itertools.count(1))) for entry in entries)
