"""What is held, as sets of integers: sequence numbers of trades, or microseconds of time.

A set is kept as sorted, disjoint, half-open ranges that do not touch, which is what PostgreSQL's
``int8multirange`` holds; a gap is what an expected range minus the set leaves.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Final, TypeAlias

import msgspec

Span: TypeAlias = tuple[int, int]
"""[low, high): low is held, high is the first that is not."""

_low = itemgetter(0)
_high = itemgetter(1)
_INTEGER_RANGE: Final = re.compile(r"\[(-?\d+),(-?\d+)\)")
_TIME_RANGE: Final = re.compile(r'\["?([^",]+)"?,"?([^",)]+)"?\)')
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Ranges(msgspec.Struct, frozen=True):
    """A set of integers. Make it with ``of``, ``from_spans`` or ``from_text``, which keep it canonical."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Ranges:
        """The set of these numbers, in any order, repeated or not."""
        held = list(numbers)
        if not held:
            return cls()
        if held == list(range(held[0], held[0] + len(held))):  # a batch without holes: the common case
            return cls(((held[0], held[0] + len(held)),))
        return cls.from_spans((number, number + 1) for number in held)

    @classmethod
    def from_spans(cls, spans: Iterable[Span]) -> Ranges:
        """The union of half-open ranges in any order; those without content are left out."""
        merged: list[Span] = []
        for low, high in sorted(spans):
            if low >= high:
                continue
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    @classmethod
    def between(cls, low: int, high: int) -> Ranges:
        """All of [low, high)."""
        return cls(((low, high),)) if low < high else cls()

    def union(self, other: Ranges) -> Ranges:
        """What either holds."""
        if not self.spans or not other.spans:
            return self if self.spans else other
        end, start = self.spans[-1][1], other.spans[0][0]
        if start > end:  # entirely above what is held: the common case
            return Ranges(self.spans + other.spans)
        if start == end:
            joined = (self.spans[-1][0], other.spans[0][1])
            return Ranges((*self.spans[:-1], joined, *other.spans[1:]))
        return Ranges.from_spans(self.spans + other.spans)

    def difference(self, other: Ranges) -> Ranges:
        """What this set holds and the other does not."""
        if not self.spans or not other.spans or self.spans[0][0] >= other.spans[-1][1]:
            return self
        left: list[Span] = []
        for low, high in self.spans:
            at = low
            for taken_low, taken_high in other.overlapping(low, high):
                if at < taken_low:
                    left.append((at, taken_low))
                at = max(at, taken_high)
            if at < high:
                left.append((at, high))
        return Ranges(tuple(left))

    def intersection(self, other: Ranges) -> Ranges:
        """What both hold."""
        return self.difference(self.difference(other))

    def missing(self, low: int, high: int) -> Ranges:
        """What [low, high) expects and this set does not hold."""
        return Ranges.between(low, high).difference(self)

    def overlapping(self, low: int, high: int) -> tuple[Span, ...]:
        """The ranges that share at least one number with [low, high), whole."""
        if low >= high:
            return ()
        first = bisect_right(self.spans, low, key=_high)
        return self.spans[first : bisect_left(self.spans, high, key=_low)]

    def contains(self, number: int) -> bool:
        """Whether the number is held."""
        at = bisect_right(self.spans, number, key=_low)
        return at > 0 and number < self.spans[at - 1][1]

    __contains__ = contains
    __or__ = union
    __sub__ = difference
    __and__ = intersection

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return sum(high - low for low, high in self.spans)

    @property
    def lowest(self) -> int | None:
        return self.spans[0][0] if self.spans else None

    @property
    def highest(self) -> int | None:
        return self.spans[-1][1] - 1 if self.spans else None

    def to_text(self) -> str:
        """PostgreSQL's ``int8multirange``: ``{[1,5),[7,9)}``."""
        return "{" + ",".join(f"[{low},{high})" for low, high in self.spans) + "}"

    @classmethod
    def from_text(cls, text: str) -> Ranges:
        """Inverse of ``to_text``; raises ValueError on anything that is not a bounded multirange."""
        return cls.from_spans((int(low), int(high)) for low, high in _ranges(text, _INTEGER_RANGE))

    def to_time_text(self) -> str:
        """PostgreSQL's ``tstzmultirange`` of a set of microseconds UTC."""
        return "{" + ",".join(f'["{_iso(low)}","{_iso(high)}")' for low, high in self.spans) + "}"

    @classmethod
    def from_time_text(cls, text: str) -> Ranges:
        """Inverse of ``to_time_text``, and of what PostgreSQL makes of it in any time zone."""
        return cls.from_spans(
            (_microseconds(low), _microseconds(high)) for low, high in _ranges(text, _TIME_RANGE)
        )


def _ranges(text: str, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"not a multirange: {text!r}")
    inner = text[1:-1]
    found = list(pattern.finditer(inner))
    if ",".join(match.group() for match in found) != inner:
        raise ValueError(f"not a multirange of bounded half-open ranges: {text!r}")
    return [(match[1], match[2]) for match in found]


def _iso(microseconds: int) -> str:
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(sep=" ")


def _microseconds(iso: str) -> int:
    moment = datetime.fromisoformat(iso)
    if moment.tzinfo is None:
        raise ValueError(f"a time without its zone: {iso!r}")
    return (moment - _EPOCH) // _MICROSECOND
