"""A ledger with a second file beside it, of what was printed while nobody heard: nothing is forgotten.

A market with a past needs it: what lies between the past and the first subscription must be there too. What
``verify`` compares is the ledger alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamers.simulator.ledger import Candle, Ledger, Trade
from streamers.simulator.listing import MINUTE
from streamers.simulator.tape import Older, Print, Row

if TYPE_CHECKING:
    from streamers.simulator.history import HistoryShelf

SUFFIX = ".unheard"


class UnheardFile(Ledger):
    """Takes every print that it is given."""

    def trade(self, symbol: str, channel: str, one: Print) -> bool:
        self.begun.setdefault((symbol, channel), 0)
        return super().trade(symbol, channel, one)

    def candle(self, symbol: str, row: Row) -> bool:
        self.begun.setdefault((symbol, "trade"), 0)
        return super().candle(symbol, row)


class WholeLedger(Ledger):
    """The ledger, and beside it what it does not take. A closed minute stands in one of both."""

    def __init__(self, path: Path | None = None, *, anew: bool = False) -> None:
        """``anew``: what an earlier life left beside the ledger counts no more."""
        super().__init__(path)
        self.unheard = UnheardFile(path and path.with_suffix(SUFFIX))
        self._anew = anew

    def open(self) -> None:
        if self._anew and self.unheard.path is not None:
            self.unheard.path.unlink(missing_ok=True)
        super().open()
        self.unheard.open()

    def trade(self, symbol: str, channel: str, one: Print) -> bool:
        known = one.sequence <= self.last.get((symbol, channel), -1)
        return super().trade(symbol, channel, one) or (not known and self.unheard.trade(symbol, channel, one))

    def candle(self, symbol: str, row: Row) -> bool:
        known = row.open_time * 1000 <= self.closed.get(symbol, -1)
        return super().candle(symbol, row) or (not known and self.unheard.candle(symbol, row))

    def flush(self) -> None:
        self.unheard.flush()
        super().flush()

    def close(self) -> None:
        try:
            self.unheard.close()
        finally:
            super().close()

    def read(self) -> Iterator[Trade | Candle]:
        """Both files, in the order in which it happened."""
        return heapq.merge(self.unheard.read(), super().read(), key=_moment)

    def counts(self, symbol: str, channel: str, channels: Sequence[str]) -> bool:
        """Of every kind all prints are here: the first is counted."""
        _ = symbol
        return channel == channels[0]

    def shelf(self, symbol: str, channel: str, text_of: Callable[[Trade], str]) -> Older:
        return Merged(self.unheard.shelf(symbol, channel, text_of), super().shelf(symbol, channel, text_of))


class Merged:
    """Two shelves of one kind of prints, none of which is on both."""

    def __init__(self, one: Older, other: Older) -> None:
        self._shelves = (one, other)

    def ascending(self, sequence: int, time: int) -> Iterator[Print]:
        found = (shelf.ascending(sequence, time) for shelf in self._shelves)
        return heapq.merge(*found, key=_sequence)

    def descending(self, sequence: int, time: int) -> Iterator[Print]:
        found = (shelf.descending(sequence, time) for shelf in self._shelves)
        return heapq.merge(*found, key=_sequence, reverse=True)


class Chained:
    """The past, and behind it what was printed since."""

    def __init__(self, past: HistoryShelf, since: Older) -> None:
        self._past = past
        self._since = since

    def ascending(self, sequence: int, time: int) -> Iterator[Print]:
        yield from self._past.ascending(sequence, time)
        yield from self._since.ascending(sequence, time)

    def descending(self, sequence: int, time: int) -> Iterator[Print]:
        yield from self._since.descending(sequence, time)
        yield from self._past.descending(sequence, time)


def _moment(entry: Trade | Candle) -> int:
    """Microseconds UTC: a minute is closed when it is over."""
    return entry.event_time if isinstance(entry, Trade) else entry.open_time + MINUTE


def _sequence(one: Print) -> int:
    return one.sequence
