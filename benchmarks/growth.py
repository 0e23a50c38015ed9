"""Does memory grow? A line through the samples, its uncertainty, and what is said of both. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

REACH = 1.0
"""MB/h."""
ENOUGH_MINUTES = 30.0
"""A shorter run shows a warm-up's tail as growth: it is not judged."""
CONFIDENCE = 2.0
"""Standard errors on either side."""


class Slope(msgspec.Struct, frozen=True):
    """MB/h, and how far it may be off."""

    value: float
    uncertainty: float

    def __str__(self) -> str:
        return f"{self.value:+.1f} ± {self.uncertainty:.1f}"


class Sample(msgspec.Struct, frozen=True):
    """One process at one moment."""

    seconds: float
    """Since the beginning."""
    now: float
    """VmRSS, MB."""
    peak: float
    """VmHWM, MB."""


def slope(samples: Sequence[Sample]) -> Slope | None:
    """Least squares; None for fewer than three moments. Neighbours resemble each other, so the
    uncertainty is widened as if only every independent sample counted.
    """
    if len({sample.seconds for sample in samples}) < 3:
        return None
    hours = [sample.seconds / 3600 for sample in samples]
    sizes = [sample.now for sample in samples]
    line = statistics.linear_regression(hours, sizes)
    rest = [size - (line.intercept + line.slope * hour) for hour, size in zip(hours, sizes, strict=True)]
    squares = math.fsum(one * one for one in rest)
    centre = statistics.fmean(hours)
    spread = math.fsum((hour - centre) ** 2 for hour in hours)
    error = math.sqrt(squares / (len(rest) - 2) / spread)
    return Slope(line.slope, CONFIDENCE * error * math.sqrt(_inflation(rest, squares)))


def _inflation(rest: Sequence[float], squares: float) -> float:
    """(1 + r) / (1 − r) for the correlation r of neighbours: 1 where they know nothing of each other."""
    if not squares:
        return 1.0
    correlation = math.fsum(one * other for one, other in pairwise(rest)) / squares
    correlation = min(max(correlation, 0.0), 0.95)
    return (1 + correlation) / (1 - correlation)


def after_warm_up(samples: Sequence[Sample], warm_up: float) -> list[Sample]:
    return [sample for sample in samples if sample.seconds >= warm_up]


def verdict(found: Slope | None, minutes: float) -> str:
    """In words, for one process."""
    if found is None:
        return "too few samples"
    if minutes < ENOUGH_MINUTES:
        return f"{minutes:g} min are too short to judge"
    if found.value > REACH:
        return "above" if found.value - found.uncertainty > REACH else "above, perhaps by chance"
    return "holds"


def fails(found: Slope | None, minutes: float) -> bool:
    """Only a run that is long enough can fail."""
    return minutes >= ENOUGH_MINUTES and (found is None or found.value > REACH)


def growing(early: Mapping[str, float], late: Mapping[str, float], most: int = 3) -> list[str]:
    """Gauges that are higher late than early, those that grew by most of their size first; ages and lags
    hold nothing.
    """
    grown = {name: (early.get(name, 0.0), value) for name, value in late.items() if "seconds" not in name}
    ranked = sorted(
        ((now - before) / max(abs(before), 1.0), name, before, now)
        for name, (before, now) in grown.items()
        if now > before
    )
    return [f"{name} {_spell(before)} → {_spell(now)}" for _, name, before, now in reversed(ranked[-most:])]


def _spell(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
