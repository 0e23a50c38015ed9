"""What was measured, what it is compared with, and what the comparison says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec


class Bound(msgspec.Struct, frozen=True):
    """One side of what a number may be."""

    number: float
    at_most: bool = True

    def holds(self, value: float) -> bool:
        return value <= self.number if self.at_most else value >= self.number

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {spell(self.number)}"


def at_most(number: float) -> Bound:
    return Bound(number)


def at_least(number: float) -> Bound:
    return Bound(number, at_most=False)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    work: str
    value: float | None
    """None: void, because a count beside it is wrong."""
    unit: str
    how: str
    limit: float | None = None
    """The same work done by next to nothing, in the same run."""
    limit_is: str = ""
    reach: Bound | None = None
    """On the value; judged in words, except by --quick."""
    gate: Bound | None = None
    """On the ratio; what --quick judges."""

    @property
    def ratio(self) -> float | None:
        """Value in limits."""
        return self.value / self.limit if self.value is not None and self.limit else None


class Count(msgspec.Struct, frozen=True):
    """What must be so for the figures beside it to mean anything."""

    what: str
    expected: int
    found: int

    @property
    def right(self) -> bool:
        return self.expected == self.found


class Findings(msgspec.Struct, frozen=True):
    """What one part of the run found."""

    figures: Sequence[Figure]
    counts: Sequence[Count]


def void_unless(counts: Iterable[Count], figures: Sequence[Figure]) -> Findings:
    """Figures lose their value where a count is wrong."""
    counts = tuple(counts)
    if not all(count.right for count in counts):
        figures = [msgspec.structs.replace(figure, value=None) for figure in figures]
    return Findings(figures, counts)


def verdict(figure: Figure, *, quick: bool) -> str:
    """What is said of a figure; empty where nothing is asked of it."""
    if figure.value is None:
        return "void"
    if quick:
        if figure.gate is None or figure.ratio is None:
            return ""
        return "good" if figure.gate.holds(figure.ratio) else "too far"
    if figure.reach is None:
        return ""
    return "reached" if figure.reach.holds(figure.value) else "not reached"


def complaints(findings: Iterable[Findings], *, quick: bool) -> list[str]:
    """Why the run is a failure, in sentences; none where it is not."""
    sentences = []
    for found in findings:
        sentences += [
            f"{count.what}: {count.found:,} instead of {count.expected:,}."
            for count in found.counts
            if not count.right
        ]
        sentences += [
            f"{figure.work}: could not be measured."
            for figure in found.figures
            if figure.value is None and all(count.right for count in found.counts)
        ]
        sentences += [
            f"{figure.work}: {spell(figure.ratio)} × the limit of this run, which must be {figure.gate}."
            for figure in found.figures
            if verdict(figure, quick=quick) == "too far" and figure.ratio is not None
        ]
    return sentences


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that at least so many percent of all do not exceed."""
    if not values:
        raise ValueError("no values, no percentile")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def spell(value: float) -> str:
    """A number as a person reads it: three digits that count, no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
