"""The percentile, the bounds and what is said of a figure."""

import pytest
from msgspec.structs import replace

from benchmarks.figures import (
    Count,
    Figure,
    Findings,
    at_least,
    at_most,
    complaints,
    percentile,
    spell,
    verdict,
    void_unless,
)

FIGURE = Figure(
    work="w", value=10.0, unit="µs", how="h", limit=4.0, limit_is="l", reach=at_most(12), gate=at_most(3)
)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (1, 1.0), (50, 50.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_bounds_include_their_number() -> None:
    assert at_most(12).holds(12)
    assert not at_most(12).holds(12.01)
    assert at_least(60_000).holds(60_000)
    assert not at_least(60_000).holds(59_999)
    assert (str(at_most(12)), str(at_least(60_000))) == ("≤ 12.0", "≥ 60,000")


def test_ratio_is_the_value_in_limits() -> None:
    assert FIGURE.ratio == 2.5


def test_a_full_run_judges_the_value_in_words_and_a_quick_one_the_ratio() -> None:
    assert verdict(FIGURE, quick=False) == "reached"
    assert verdict(FIGURE, quick=True) == "good"
    slow = replace(FIGURE, value=13.0)
    assert verdict(slow, quick=False) == "not reached"
    assert verdict(slow, quick=True) == "too far"


def test_a_reach_that_is_missed_is_no_failure_and_a_ratio_in_a_quick_run_is_one() -> None:
    slow = Findings([replace(FIGURE, value=13.0)], [])
    assert complaints([slow], quick=False) == []
    assert complaints([slow], quick=True) == ["w: 3.25 × the limit of this run, which must be ≤ 3.00."]


def test_nothing_is_asked_of_a_figure_without_bounds() -> None:
    bare = Figure(work="w", value=1.0, unit="µs", how="h")
    assert verdict(bare, quick=True) == verdict(bare, quick=False) == ""


def test_a_wrong_count_voids_the_figures_and_fails_any_run() -> None:
    found = void_unless([Count("Trades in Redis", 200_000, 199_999)], [FIGURE])
    assert [verdict(figure, quick=False) for figure in found.figures] == ["void"]
    for quick in (True, False):
        assert complaints([found], quick=quick) == ["Trades in Redis: 199,999 instead of 200,000."]


def test_a_figure_that_could_not_be_taken_fails_any_run() -> None:
    found = Findings([replace(FIGURE, value=None)], [Count("Trades in Redis", 3, 3)])
    assert complaints([found], quick=True) == ["w: could not be measured."]


def test_right_counts_leave_the_figures_alone() -> None:
    found = void_unless([Count("Trades in Redis", 3, 3)], [FIGURE])
    assert list(found.figures) == [FIGURE]
    assert complaints([found], quick=True) == []


def test_numbers_are_spelled_with_the_digits_that_count() -> None:
    assert [spell(value) for value in (0.456, 4.4, 12.34, 203_210.4)] == ["0.46", "4.40", "12.3", "203,210"]
