from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.backfill import Around, DayOutcome, DayState
from trade_platform.domain.coverage import Ranges


def spans(*pairs: tuple[int, int]) -> Ranges:
    return Ranges.from_spans(pairs)


@pytest.mark.parametrize(
    ("before", "held", "after", "whole"),
    [
        (9, spans((10, 20)), 20, True),
        (None, spans((10, 20)), 20, False),
        (8, spans((10, 20)), 20, False),
        (9, spans((10, 20)), None, False),
        (9, spans((10, 20)), 21, False),
        (9, spans((10, 15), (16, 20)), 20, False),
        (9, spans(), 10, True),
        (9, spans(), 11, False),
        (None, spans(), 10, False),
        (9, spans(), None, False),
    ],
)
def test_a_day_is_whole_when_nothing_can_lie_between(
    before: int | None, held: Ranges, after: int | None, whole: bool
) -> None:
    assert Around(before, held, after).is_whole is whole


@given(st.sets(st.integers(0, 30)), st.integers(0, 30), st.integers(0, 30))
def test_whole_means_that_every_number_from_before_to_after_is_held(
    held: set[int], first: int, last: int
) -> None:
    """Of any held numbers, cut at two midnights."""
    low, high = sorted((first, last))
    before = max((n for n in held if n < low), default=None)
    after = min((n for n in held if n >= high), default=None)
    own = Ranges.of(n for n in sorted(held) if low <= n < high)
    whole = before is not None and after is not None and set(range(before, after + 1)) <= held
    assert Around(before, own, after).is_whole is whole


@pytest.mark.parametrize(
    ("state", "good"),
    [
        (DayState.WHOLE, True),
        (DayState.OPEN, True),
        (DayState.LACKING, False),
        (DayState.UNREACHABLE, False),
    ],
)
def test_what_is_good(state: DayState, good: bool) -> None:
    assert DayOutcome(exchange="x", symbol="y", day=date(2026, 1, 1), state=state).good is good
