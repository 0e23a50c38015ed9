"""Prints that left the memory, read again from the ledger: a thin index tells where to look."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from streamers.simulator.tape import Print

if TYPE_CHECKING:
    from streamers.simulator.ledger import Ledger, Trade

SPAN = 65_536
"""Bytes of the ledger that one entry of an index speaks for."""
LONGEST_LINE = 4_096


class Places:
    """Where in the ledger the prints of one instrument and channel are: an entry per stretch with any."""

    def __init__(self) -> None:
        self.sequences = array("q")
        self.times = array("q")
        self.offsets = array("q")

    def note(self, sequence: int, time: int, offset: int) -> None:
        """A print begins at this byte; ``time`` in milliseconds."""
        if not self.offsets or offset - self.offsets[-1] > SPAN:
            self.sequences.append(sequence)
            self.times.append(time)
            self.offsets.append(offset)

    def stretch(self, place: int) -> tuple[int, int]:
        """First byte and length of what one entry speaks for."""
        begin = self.offsets[place]
        end = begin + SPAN + LONGEST_LINE
        if place + 1 < len(self.offsets):
            end = min(end, self.offsets[place + 1])
        return begin, end - begin


class Shelf:
    """The prints of one instrument and channel that are in the ledger."""

    def __init__(self, ledger: Ledger, symbol: str, channel: str, text_of: Callable[[Trade], str]) -> None:
        self._ledger = ledger
        self._key = (symbol, channel)
        self._text_of = text_of
        name, kind = msgspec.json.encode(symbol).decode(), msgspec.json.encode(channel).decode()
        self._head = f'{{"kind":"trade","symbol":{name},"channel":{kind},'.encode()

    def ascending(self, sequence: int, time: int) -> Iterator[Print]:
        """From the first print at or after both, in order."""
        places = self._ledger.places.get(self._key)
        if places is None:
            return
        first = max(bisect_right(places.sequences, sequence), bisect_right(places.times, time - 1)) - 1
        for place in range(max(first, 0), len(places.offsets)):
            for one in self._read(places, place):
                if one.sequence >= sequence and one.time >= time:
                    yield one

    def descending(self, sequence: int, time: int) -> Iterator[Print]:
        """From the last print at or before both, backwards."""
        places = self._ledger.places.get(self._key)
        if places is None:
            return
        last = min(bisect_right(places.sequences, sequence), bisect_right(places.times, time)) - 1
        for place in range(last, -1, -1):
            for one in reversed(self._read(places, place)):
                if one.sequence <= sequence and one.time <= time:
                    yield one

    def _read(self, places: Places, place: int) -> list[Print]:
        lines = self._ledger.window(*places.stretch(place)).split(b"\n")
        entries = [self._ledger.entry(line) for line in lines[:-1] if line.startswith(self._head)]
        return [entry.print(self._text_of(entry)) for entry in entries]
