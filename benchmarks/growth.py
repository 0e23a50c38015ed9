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
ENTRIES = "structure_entries"
MOST = "structure_high_water"
BOUND = "structure_bound"
"""Gauges that name each structure with its size, its highest and its bound."""


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
    """What is higher late than early: structures first, each with its bound, then other gauges; among
    them those that grew by most of their size. Ages and lags hold nothing.
    """
    grown = {
        name: (now - early.get(name, 0.0)) / max(abs(early.get(name, 0.0)), 1.0)
        for name, now in late.items()
        if now > early.get(name, 0.0) and "seconds" not in name and not name.startswith((MOST, BOUND))
    }
    ranked = sorted(grown, key=lambda name: (not name.startswith(ENTRIES), -grown[name], name))
    return [_growth(name, early.get(name, 0.0), late) for name in ranked[:most]]


def fullest(late: Mapping[str, float], most: int = 4) -> list[str]:
    """The structures that came nearest to their bounds: the most that each ever held, of what it may."""
    marks = {name.removeprefix(MOST): value for name, value in late.items() if name.startswith(MOST)}
    full = sorted(
        ((value / max(late.get(f"{BOUND}{name}", 1.0), 1.0), name) for name, value in marks.items()),
        reverse=True,
    )
    return [
        f"{name.strip('{}')} {_spell(marks[name])}/{_spell(late.get(f'{BOUND}{name}', 0.0))}"
        for _, name in full[:most]
    ]


def _growth(name: str, before: float, late: Mapping[str, float]) -> str:
    if not name.startswith(ENTRIES):
        return f"{name} {_spell(before)} → {_spell(late[name])}"
    place = name.removeprefix(ENTRIES)
    bound = _spell(late.get(f"{BOUND}{place}", 0.0))
    return f"{place.strip('{}')} {_spell(before)} → {_spell(late[name])} (at most {bound})"


def _spell(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
