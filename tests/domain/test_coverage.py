from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.coverage import Ranges

numbers = st.sets(st.integers(-60, 60), max_size=60)
spans = st.lists(st.tuples(st.integers(-60, 60), st.integers(-60, 60)), max_size=12)
microseconds = st.integers(0, 4_000_000_000_000_000)


def members(ranges: Ranges) -> set[int]:
    return {number for low, high in ranges for number in range(low, high)}


def assert_canonical(ranges: Ranges) -> None:
    """Sorted, none empty, none touching: what PostgreSQL makes of the same set."""
    assert all(low < high for low, high in ranges)
    assert all(a[1] < b[0] for a, b in pairwise(ranges.spans))


@given(st.lists(st.integers(-60, 60)))
def test_of_holds_what_it_was_given(given_numbers: list[int]) -> None:
    ranges = Ranges.of(given_numbers)
    assert members(ranges) == set(given_numbers)
    assert_canonical(ranges)


def test_a_batch_is_without_holes_only_if_it_is() -> None:
    assert Ranges.of([1, 1, 3]).to_text() == "{[1,2),[3,4)}"
    assert Ranges.of([4, 2, 3]).to_text() == "{[2,5)}"


@given(st.sets(st.integers(0, 9)))
def test_overlapping_are_those_that_share_a_number(held: set[int]) -> None:
    ranges = Ranges.of(held)
    for low, high in product(range(-1, 12), repeat=2):
        expected = tuple(span for span in ranges if max(span[0], low) < min(span[1], high))
        assert ranges.overlapping(low, high) == expected


@given(spans)
def test_from_spans_is_their_union(given_spans: list[tuple[int, int]]) -> None:
    ranges = Ranges.from_spans(given_spans)
    assert members(ranges) == {number for low, high in given_spans for number in range(low, high)}
    assert_canonical(ranges)


@given(numbers, numbers)
def test_set_algebra_is_that_of_sets(a: set[int], b: set[int]) -> None:
    left, right = Ranges.of(a), Ranges.of(b)
    for ranges, expected in [
        (left | right, a | b),
        (left - right, a - b),
        (left & right, a & b),
    ]:
        assert members(ranges) == expected
        assert_canonical(ranges)


@given(numbers, st.integers(-70, 70), st.integers(-70, 70))
def test_missing_is_what_was_expected_and_is_not_held(held: set[int], low: int, high: int) -> None:
    missing = Ranges.of(held).missing(low, high)
    assert members(missing) == set(range(low, high)) - held
    assert_canonical(missing)


@given(numbers, st.integers(-70, 70))
def test_contains_count_and_ends(held: set[int], number: int) -> None:
    ranges = Ranges.of(held)
    assert (number in ranges) == (number in held)
    assert ranges.count == len(held)
    assert bool(ranges) == bool(held)
    assert ranges.lowest == min(held, default=None)
    assert ranges.highest == max(held, default=None)


@given(numbers, numbers)
def test_equal_sets_are_equal_values_however_they_came_about(a: set[int], b: set[int]) -> None:
    assert Ranges.of(a | b) == Ranges.of(a) | Ranges.of(b) == Ranges.of(b) | Ranges.of(a)


@pytest.mark.parametrize(
    ("held", "batch", "expected"),
    [
        ("{[1,5)}", "{[5,9)}", "{[1,9)}"),
        ("{[1,5)}", "{[6,9)}", "{[1,5),[6,9)}"),
        ("{[1,3),[4,5)}", "{[5,6),[8,9)}", "{[1,3),[4,6),[8,9)}"),
        ("{[1,5)}", "{[4,9)}", "{[1,9)}"),
        ("{}", "{[4,9)}", "{[4,9)}"),
    ],
)
def test_a_batch_above_what_is_held(held: str, batch: str, expected: str) -> None:
    assert (Ranges.from_text(held) | Ranges.from_text(batch)).to_text() == expected


@given(numbers)
def test_text_round_trip(held: set[int]) -> None:
    ranges = Ranges.of(held)
    assert Ranges.from_text(ranges.to_text()) == ranges


@given(st.lists(st.tuples(microseconds, microseconds), max_size=6))
def test_time_text_round_trip(given_spans: list[tuple[int, int]]) -> None:
    ranges = Ranges.from_spans(given_spans)
    assert Ranges.from_time_text(ranges.to_time_text()) == ranges


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ('{["1970-01-01 00:00:00+00","1970-01-01 00:00:01+00")}', (0, 1_000_000)),
        ('{["1970-01-01 02:00:00.5+02","1970-01-01 02:00:01.000001+02")}', (500_000, 1_000_001)),
        ('{["1970-01-01 05:30:00+05:30","1970-01-01 05:30:00.12+05:30")}', (0, 120_000)),
    ],
)
def test_time_text_as_a_server_prints_it_in_its_own_zone(text: str, span: tuple[int, int]) -> None:
    assert Ranges.from_time_text(text) == Ranges.from_spans([span])


@pytest.mark.parametrize(
    "text", ["", "{", "[1,2)", "{[1,2]}", "{(1,2)}", "{[1,)}", "{[1,2)x}", "{[1,2),}", "{a}", "{[1,2)[3,4)}"]
)
def test_what_is_no_bounded_multirange_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="multirange"):
        Ranges.from_text(text)
    with pytest.raises(ValueError, match=r".+"):
        Ranges.from_time_text(text)


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        Ranges.from_time_text('{["1970-01-01 00:00:00","1970-01-01 00:00:01")}')
