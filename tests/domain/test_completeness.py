from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.completeness import ClosedKline, Minute, follows, is_complete, is_empty
from trade_platform.domain.coverage import Ranges

MINUTE = Minute(first_sequence=10, last_sequence=12, first_id=100, last_id=109)
INSIDE = [10, 11, 12]

numbers = st.sets(st.integers(0, 20))
klines = st.none() | st.builds(
    ClosedKline,
    trades=st.none() | st.integers(0, 12),
    first_id=st.none() | st.integers(99, 101),
    last_id=st.none() | st.integers(108, 110),
    close=st.none() | st.just(Decimal(1)),
)


def test_both_neighbours_prove_it() -> None:
    assert is_complete(MINUTE, Ranges.of([9, *INSIDE, 13]), None)


def test_one_neighbour_does_not() -> None:
    assert not is_complete(MINUTE, Ranges.of([*INSIDE, 13]), None)
    assert not is_complete(MINUTE, Ranges.of([9, *INSIDE]), None)


def test_a_kline_that_names_our_ends_proves_it() -> None:
    assert is_complete(MINUTE, Ranges.of(INSIDE), ClosedKline(10, 100, 109, None))


def test_a_kline_that_names_other_ends_does_not() -> None:
    assert not is_complete(MINUTE, Ranges.of([9, *INSIDE]), ClosedKline(11, 100, 110, None))
    assert not is_complete(MINUTE, Ranges.of([9, *INSIDE]), ClosedKline(None, None, None, None))


def test_the_very_first_number_follows_nothing() -> None:
    first = Minute(0, 1, 0, 1)
    assert follows(first, Ranges.of([0, 1]))
    assert is_complete(first, Ranges.of([0, 1, 2]), None)


@given(numbers, klines)
def test_a_hole_inside_is_never_complete(held: set[int], kline: ClosedKline | None) -> None:
    if not held.issuperset(INSIDE):
        assert not is_complete(MINUTE, Ranges.of(sorted(held)), kline)


@given(numbers, numbers, klines)
def test_holding_more_never_takes_a_proof_away(
    held: set[int], more: set[int], kline: ClosedKline | None
) -> None:
    if is_complete(MINUTE, Ranges.of(sorted(held)), kline):
        assert is_complete(MINUTE, Ranges.of(sorted(held | more)), kline)


@given(numbers, klines)
def test_only_the_minute_and_its_neighbours_count(held: set[int], kline: ClosedKline | None) -> None:
    near = held & set(range(9, 14))
    assert is_complete(MINUTE, Ranges.of(sorted(held)), kline) == is_complete(
        MINUTE, Ranges.of(sorted(near)), kline
    )


def test_an_empty_minute_needs_the_exchange_s_word_and_our_price() -> None:
    said = ClosedKline(0, None, None, Decimal("5.0"))
    assert is_empty(said, Decimal(5))
    assert not is_empty(said, Decimal(6)), "we miss trades before it"
    assert not is_empty(said, None)
    assert not is_empty(ClosedKline(None, None, None, Decimal(5)), Decimal(5)), "Deribit counts no trades"
    assert not is_empty(ClosedKline(3, 1, 3, Decimal(5)), Decimal(5))
