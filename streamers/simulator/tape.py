"""What was printed and which minutes closed: the newest in memory, older prints from the ledger."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

KEPT_PRINTS = 1_000
"""Newest prints per instrument and channel that stay in memory."""
KEPT_MINUTES = 4 * 24 * 60
FOREVER = 1 << 62


class Print(msgspec.Struct, frozen=True, gc=False):
    """One trade as the exchange shows it; figures are the very text that goes on the wire."""

    sequence: int
    price: str
    quantity: str
    buy: bool
    """The taker bought."""
    time: int
    """Milliseconds UTC."""
    first_id: int
    last_id: int
    text: str = ""
    """The whole JSON object, on exchanges that show the same one everywhere."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One candle as the exchange shows it."""

    open_time: int
    """Milliseconds UTC."""
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int | None
    taker_volume: str | None
    taker_quote_volume: str | None
    first_id: int | None
    last_id: int | None


class Older(Protocol):
    """Where prints are that left the memory."""

    def ascending(self, sequence: int, time: int) -> Iterator[Print]: ...

    def descending(self, sequence: int, time: int) -> Iterator[Print]: ...


class PrintLog:
    """Prints of one instrument and channel, ascending by sequence."""

    def __init__(self, older: Older | None = None, kept: int = KEPT_PRINTS) -> None:
        self._prints: list[Print] = []
        self._older = older
        self._kept = kept

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._prints)

    def append(self, one: Print) -> None:
        self._prints.append(one)
        if len(self._prints) > self._kept + self._kept // 5:
            del self._prints[: -self._kept]

    def ascending(self, sequence: int = 0, time: int = 0) -> Iterator[Print]:
        """From the first print at or after a sequence and a time (milliseconds), in order."""
        kept = self._prints[:]  # an archive is made in a thread of its own
        oldest = kept[0].sequence if kept else FOREVER
        if self._older is not None and sequence < oldest and (not kept or time <= kept[0].time):
            for one in self._older.ascending(sequence, time):
                if one.sequence >= oldest:
                    break
                yield one
        first = max(bisect_left(kept, sequence, key=_sequence), bisect_left(kept, time, key=_time))
        yield from kept[first:]

    def descending(self, sequence: int = FOREVER, time: int = FOREVER) -> Iterator[Print]:
        """From the last print at or before a sequence and a time, backwards."""
        kept = self._prints
        last = min(bisect_right(kept, sequence, key=_sequence), bisect_right(kept, time, key=_time))
        yield from reversed(kept[:last])
        if self._older is not None:
            oldest = kept[0].sequence if kept else FOREVER
            yield from self._older.descending(min(sequence, oldest - 1), time)

    @property
    def last(self) -> Print | None:
        return self._prints[-1] if self._prints else None


class Tape:
    """Prints and closed minutes of one exchange."""

    def __init__(self, older: Callable[[str, str], Older] | None = None, kept: int = KEPT_PRINTS) -> None:
        self.prints: dict[tuple[str, str], PrintLog] = {}
        self.rows: dict[str, dict[int, Row]] = {}
        self._older = older
        self._kept = kept

    def log(self, symbol: str, channel: str) -> PrintLog:
        known = self.prints.get((symbol, channel))
        if known is None:
            older = self._older(symbol, channel) if self._older else None
            known = self.prints[symbol, channel] = PrintLog(older, self._kept)
        return known

    def close(self, symbol: str, row: Row) -> None:
        rows = self.rows.setdefault(symbol, {})
        rows[row.open_time] = row
        while len(rows) > KEPT_MINUTES:
            del rows[next(iter(rows))]


def _sequence(one: Print) -> int:
    return one.sequence


def _time(one: Print) -> int:
    return one.time
