from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import reduce
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.model import DAY, MINUTE, QuantityUnit, Side, Trade, TradeFlag
from trade_platform.domain.ohlc import (
    HOUR,
    INTERVALS,
    Bar,
    bar_of,
    bars_of,
    continuous,
    filled,
    filler,
    merge,
    minute_of,
    rollup,
    truncate,
    volumes_of,
)

BASE, QUOTE = QuantityUnit.BASE, QuantityUnit.QUOTE
START = 20_000 * DAY  # a midnight, so that buckets of all widths begin there

prices = st.decimals("0.000001", "999999", places=6)
quantities = st.decimals("0.00000001", "99999999", places=8)
flags = st.sampled_from([TradeFlag(0), TradeFlag.BLOCK, TradeFlag.AGGREGATE, TradeFlag.COMBO])


def a_trade(
    sequence: int = 1,
    price: Decimal | str = "100",
    quantity: Decimal | str = "1",
    at: int = START,
    side: Side = Side.BUY,
    flags: int = 0,
    fills: int = 1,
) -> Trade:
    return Trade(
        symbol="X",
        sequence=sequence,
        price=Decimal(price),
        quantity=Decimal(quantity),
        side=side,
        event_time=at,
        receive_time=0,
        first_id=sequence * 10,
        last_id=sequence * 10 + fills - 1,
        flags=flags,
    )


@st.composite
def trade_lists(draw: st.DrawFn, minutes: int = 3, max_size: int = 25) -> list[Trade]:
    """Unique sequences; times in no relation to them, as many in one microsecond as may be."""
    count = draw(st.integers(1, max_size))
    moments = st.integers(0, minutes * 4).map(lambda quarter: START + quarter * MINUTE // 4)
    return [
        a_trade(
            sequence,
            draw(prices),
            draw(quantities),
            draw(moments),
            draw(st.sampled_from(Side)),
            draw(flags),
            draw(st.integers(1, 5)),
        )
        for sequence in range(1, count + 1)
    ]


def reference(trades: list[Trade], unit: QuantityUnit, open_time: int, width: int) -> dict[str, object]:
    """A bar, written as plainly as can be, on fractions."""
    inside = sorted(
        (trade for trade in trades if open_time <= trade.event_time < open_time + width),
        key=lambda trade: (trade.event_time, trade.sequence),
    )
    on_book = [trade.price for trade in inside if not trade.flags & TradeFlag.BLOCK]
    base, quote, taker_base, taker_quote = Fraction(0), Fraction(0), Fraction(0), Fraction(0)
    for trade in inside:
        price, quantity = Fraction(trade.price), Fraction(trade.quantity)
        if unit is BASE:
            one_base, one_quote = quantity, price * quantity
        else:
            one_base, one_quote = Fraction(int(quantity / price * 10**12 + Fraction(1, 2)), 10**12), quantity
        base, quote = base + one_base, quote + one_quote
        if trade.side is Side.BUY:
            taker_base, taker_quote = taker_base + one_base, taker_quote + one_quote
    return {
        "open": on_book[0] if on_book else None,
        "high": max(on_book) if on_book else None,
        "low": min(on_book) if on_book else None,
        "close": on_book[-1] if on_book else None,
        "volume": base,
        "quote_volume": quote,
        "taker_buy_volume": taker_base,
        "taker_buy_quote_volume": taker_quote,
        "trades": sum(trade.last_id - trade.first_id + 1 for trade in inside),
        "first_id": min(trade.first_id for trade in inside),
        "last_id": max(trade.last_id for trade in inside),
        "first_sequence": min(trade.sequence for trade in inside),
        "last_sequence": max(trade.sequence for trade in inside),
    }


def assert_equals_reference(bar: Bar, trades: list[Trade], unit: QuantityUnit, width: int) -> None:
    for name, expected in reference(trades, unit, bar.open_time, width).items():
        found = getattr(bar, name)
        assert (Fraction(found) if isinstance(expected, Fraction) else found) == expected, name


@given(trade_lists(), st.sampled_from(QuantityUnit))
def test_bars_equal_a_plain_reference_on_fractions(trades: list[Trade], unit: QuantityUnit) -> None:
    bars = bars_of(trades, unit)
    assert [bar.open_time for bar in bars] == sorted({minute_of(trade.event_time) for trade in trades})
    for bar in bars:
        assert_equals_reference(bar, trades, unit, MINUTE)


@given(trade_lists(), st.randoms(use_true_random=False), st.sampled_from(QuantityUnit))
def test_order_and_repetition_do_not_matter(trades: list[Trade], random: Random, unit: QuantityUnit) -> None:
    again = trades + random.sample(trades, len(trades) // 2)
    random.shuffle(again)
    assert bars_of(again, unit) == bars_of(trades, unit)


@given(trade_lists(minutes=0), st.randoms(use_true_random=False), st.sampled_from(QuantityUnit))
def test_merging_parts_gives_the_whole_however_they_are_cut_and_grouped(
    trades: list[Trade], random: Random, unit: QuantityUnit
) -> None:
    whole = bars_of(trades, unit)[0]
    parts = [bar_of(trade, unit) for trade in trades]
    random.shuffle(parts)
    while len(parts) > 1:  # any grouping: associative and commutative
        parts.append(merge(parts.pop(random.randrange(len(parts))), parts.pop(random.randrange(len(parts)))))
    assert parts[0] == whole


@given(trade_lists(minutes=0), st.integers(0, 25))
def test_the_merge_of_two_halves_is_the_bar_of_both(trades: list[Trade], cut: int) -> None:
    first, second = trades[:cut], trades[cut:]
    if first and second:
        assert merge(bars_of(first, BASE)[0], bars_of(second, BASE)[0]) == bars_of(trades, BASE)[0]


@given(trade_lists(minutes=150), st.sampled_from(["15m", "1h", "2h", "1d"]), st.sampled_from(QuantityUnit))
def test_an_hour_from_minutes_is_the_hour_from_trades(
    trades: list[Trade], interval: str, unit: QuantityUnit
) -> None:
    width = INTERVALS[interval]
    minutes = list(continuous(bars_of(trades, unit), START, START + 151 * MINUTE, previous_close=Decimal(7)))
    for bar in rollup(minutes, width):
        if bar.trades:
            unfilled = (
                bar
                if bar.priced
                else msgspec.structs.replace(bar, open=None, high=None, low=None, close=None)
            )
            assert_equals_reference(unfilled, trades, unit, width)
        else:
            assert bar.volume == 0
    assert rollup(rollup(minutes, 5 * MINUTE), width) == rollup(minutes, width)


@given(trade_lists(minutes=5), st.sampled_from(QuantityUnit))
def test_nothing_is_lost_and_prices_are_in_order(trades: list[Trade], unit: QuantityUnit) -> None:
    bars = list(continuous(bars_of(trades, unit), START, START + 6 * MINUTE, previous_close=Decimal(7)))
    assert len(bars) == 6
    assert sum(bar.trades for bar in bars) == sum(trade.last_id - trade.first_id + 1 for trade in trades)
    counted = "volume" if unit is BASE else "quote_volume"
    assert sum(Fraction(getattr(bar, counted)) for bar in bars) == sum(
        Fraction(one.quantity) for one in trades
    )
    for bar in bars:
        assert bar.low <= bar.open <= bar.high  # type: ignore[operator]
        assert bar.low <= bar.close <= bar.high  # type: ignore[operator]
        assert bar.taker_buy_volume <= bar.volume


def test_sums_are_exact_where_the_default_context_would_round() -> None:
    huge = a_trade(1, "123456789.12345678", "98765432109.87654321")
    tiny = a_trade(2, "0.00000001", "0.00000001")
    bar = bars_of([huge, tiny], BASE)[0]
    assert Fraction(bar.quote_volume) == Fraction(huge.price) * Fraction(huge.quantity) + Fraction(1, 10**16)


@pytest.mark.parametrize(
    ("price", "quantity", "base"),
    [
        ("92294.5", "10", "0.000108348818"),  # 0.00010834881818…
        ("3", "1", "0.333333333333"),
        ("3", "2", "0.666666666667"),
        ("64", "0.000000000032", "0.000000000001"),  # 5e-13: half goes up
        ("64", "0.000000000031", "0.000000000000"),
    ],
)
def test_quote_quantities_become_base_rounded_half_up_to_twelve_decimals(
    price: str, quantity: str, base: str
) -> None:
    assert volumes_of(Decimal(price), Decimal(quantity), QUOTE) == (Decimal(base), Decimal(quantity))


def test_inverse_volume_is_rounded_per_trade_then_summed() -> None:
    bar = bars_of([a_trade(sequence, "3", "1") for sequence in (1, 2, 3)], QUOTE)[0]
    assert (bar.volume, bar.quote_volume) == (Decimal("0.999999999999"), Decimal(3))


@pytest.mark.parametrize("price", ["0", "-13.5"])
def test_a_spread_at_or_below_zero_has_no_base_volume(price: str) -> None:
    assert volumes_of(Decimal(price), Decimal(10), QUOTE) == (Decimal(0), Decimal(10))
    assert volumes_of(Decimal(price), Decimal(10), BASE) == (Decimal(10), 10 * Decimal(price))


def test_the_bucket_is_half_open_on_the_exchanges_clock() -> None:
    edges = [a_trade(1, at=START), a_trade(2, at=START + MINUTE - 1), a_trade(3, at=START + MINUTE)]
    assert [(bar.open_time, bar.trades) for bar in bars_of(edges, BASE)] == [(START, 2), (START + MINUTE, 1)]


def test_time_goes_before_sequence_and_sequence_before_arrival() -> None:
    late = a_trade(1, "101", at=START + 5)
    second = a_trade(9, "102", at=START)
    first = a_trade(8, "103", at=START)
    bar = bars_of([late, second, first], BASE)[0]
    assert (bar.open, bar.close) == (Decimal(103), Decimal(101))


def test_a_block_trade_is_volume_without_a_price() -> None:
    block = a_trade(2, "500", "3", flags=TradeFlag.BLOCK)
    mixed = bars_of([a_trade(1), block], BASE)[0]
    assert (mixed.high, mixed.close, mixed.volume, mixed.trades) == (100, 100, 4, 2)
    alone = bar_of(block, BASE)
    assert (alone.open, alone.close, alone.volume, alone.priced) == (None, None, 3, False)
    assert filled(alone, Decimal(99)).high == 99
    assert filled(alone, Decimal(99)).volume == 3
    assert filled(mixed, Decimal(99)) == mixed


def test_an_aggregate_counts_its_fills() -> None:
    assert bar_of(a_trade(7, flags=TradeFlag.AGGREGATE, fills=4), BASE).trades == 4


def test_a_minute_without_trades_is_the_previous_close_with_volume_zero() -> None:
    bar = filler(Decimal("5.5"), START)
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal("5.5"),) * 4
    assert (bar.volume, bar.quote_volume, bar.trades, bar.first_id) == (0, 0, 0, None)


def test_fillers_neither_widen_nor_open_an_hour_that_has_trades() -> None:
    hour = rollup([filler(Decimal(7), START), *bars_of([a_trade(1, "9", at=START + MINUTE)], BASE)], HOUR)
    assert [(bar.open, bar.low, bar.trades) for bar in hour] == [(Decimal(9), Decimal(9), 1)]
    assert rollup([filler(Decimal(7), START), filler(Decimal(7), START + MINUTE)], HOUR) == [
        filler(Decimal(7), START)
    ]


def test_continuous_begins_with_the_first_known_price() -> None:
    held = bars_of([a_trade(1, "9", at=START + 2 * MINUTE)], BASE)
    bars = list(continuous(held, START, START + 4 * MINUTE))
    assert [(bar.open_time, bar.close) for bar in bars] == [
        (START + 2 * MINUTE, 9),
        (START + 3 * MINUTE, 9),
    ]


def test_bars_of_two_buckets_do_not_merge() -> None:
    with pytest.raises(ValueError, match="two buckets"):
        merge(filler(Decimal(1), START), filler(Decimal(1), START + MINUTE))


def test_merge_of_nothing_priced_has_no_price() -> None:
    assert reduce(merge, [filler(Decimal(1), START)] * 3).close is None


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        ("2.4829999999", 8, "2.48299999"),
        ("2.5", 8, "2.50000000"),
        ("-0.19", 1, "-0.1"),
        ("123456789012345678901234567890.123456789", 8, "123456789012345678901234567890.12345678"),
        ("0.999", 0, "0"),
    ],
)
def test_truncate_cuts_and_never_rounds(value: str, decimals: int, expected: str) -> None:
    assert str(truncate(Decimal(value), decimals)) == expected
