"""What was printed and which minutes closed: the memory that REST answers from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

KEPT_PRINTS = 200_000
"""Newest prints per instrument and channel that REST can still reach."""
KEPT_MINUTES = 4 * 24 * 60
SLACK = 20_000


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


class PrintLog:
    """Prints of one instrument and channel, ascending by sequence, bounded."""

    def __init__(self) -> None:
        self._prints: list[Print] = []

    def __len__(self) -> int:
        return len(self._prints)

    def append(self, one: Print) -> None:
        self._prints.append(one)
        if len(self._prints) > KEPT_PRINTS + SLACK:
            del self._prints[:SLACK]

    def place(self, sequence: int) -> int:
        """Index of the first print at or after a sequence."""
        return bisect_left(self._prints, sequence, key=_sequence)

    def place_of_time(self, time: int) -> int:
        """Index of the first print at or after a time (milliseconds)."""
        return bisect_left(self._prints, time, key=_time)

    def between(self, first: int, last: int) -> Sequence[Print]:
        """Prints by index, [first, last)."""
        return self._prints[max(first, 0) : max(last, 0)]

    def newest(self, count: int) -> Sequence[Print]:
        return self._prints[-count:] if count else []

    @property
    def last(self) -> Print | None:
        return self._prints[-1] if self._prints else None


class Tape:
    """Prints and closed minutes of one exchange."""

    def __init__(self) -> None:
        self.prints: dict[tuple[str, str], PrintLog] = {}
        self.rows: dict[str, dict[int, Row]] = {}

    def log(self, symbol: str, channel: str) -> PrintLog:
        return self.prints.setdefault((symbol, channel), PrintLog())

    def close(self, symbol: str, row: Row) -> None:
        rows = self.rows.setdefault(symbol, {})
        rows[row.open_time] = row
        while len(rows) > KEPT_MINUTES:
            del rows[next(iter(rows))]


def _sequence(one: Print) -> int:
    return one.sequence


def _time(one: Print) -> int:
    return one.time
