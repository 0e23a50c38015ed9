"""What is said of a minute that is not the exchange's: equal, explained, or nobody knows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.control import FIELDS, NO_EVIDENCE, ROW, Class, Evidence, Rule, judge, rules_of
from trade_platform.domain.ohlc import EXACT, truncate

amounts = st.decimals(min_value=0, max_value=10**12, places=16, allow_nan=False)


@pytest.mark.parametrize("exchange", ["binance_spot", "binance_usdm"])
def test_binance_cuts_its_quote_sums_and_nothing_else(exchange: str) -> None:
    rules = rules_of(exchange)
    assert [field for field, rule in rules.items() if rule != Rule()] == [
        "quote_volume",
        "taker_buy_quote_volume",
    ]
    ours = Decimal("0.001963304")  # recorded: 0.00064706 + 0.228 * 0.005773
    assert rules["quote_volume"].holds(ours, Decimal("0.00196330"))
    assert not rules["quote_volume"].holds(ours, Decimal("0.00196331"))
    assert not rules["volume"].holds(ours, Decimal("0.00196330"))


@given(amounts)
def test_what_is_cut_is_equal_and_its_neighbours_are_not(ours: Decimal) -> None:
    rule = rules_of("binance_spot")["quote_volume"]
    cut = truncate(ours, 8)
    assert rule.holds(ours, cut)
    assert not rule.holds(ours, cut + Decimal("1e-8"))
    assert not rule.holds(ours, cut - Decimal("1e-8"))


@given(amounts, st.integers(-3, 3))
def test_deribit_may_be_one_unit_of_its_last_decimal_off(ours: Decimal, units: int) -> None:
    theirs = EXACT.add(ours, units * Decimal("1e-8"))
    assert rules_of("deribit")["volume"].holds(ours, theirs) is (abs(units) <= 1)
    assert rules_of("deribit")["close"].holds(ours, theirs) is (units == 0)


def test_of_an_exchange_that_nobody_described_nothing_is_tolerated() -> None:
    assert set(rules_of("fictional").values()) == {Rule()}
    assert list(rules_of("fictional")) == list(FIELDS)


def test_a_candle_that_the_exchange_lacks_is_open() -> None:
    found = judge("binance_spot", {ROW: (Decimal(3), None)}, NO_EVIDENCE)
    assert found[ROW].class_ is Class.OPEN
    assert "the exchange has no candle" in found[ROW].explanation


def test_fills_that_no_aggregate_has_explain_a_minute_of_usdm_wholly_or_not_at_all() -> None:
    more = {
        "trades": (Decimal(10), Decimal(12)),
        "volume": (Decimal(5), Decimal(6)),
        "high": (Decimal(100), Decimal(101)),
        "close": (Decimal(100), Decimal(99)),
    }
    found = judge("binance_usdm", more, Evidence(spare_ids=2))
    assert {one.class_ for one in found.values()} == {Class.EXPLAINED}
    assert "2 more fills" in found["volume"].explanation
    for wrong in (
        judge("binance_usdm", more, Evidence(spare_ids=1)),
        judge("binance_usdm", more | {"volume": (Decimal(5), Decimal(4))}, Evidence(spare_ids=2)),
        judge("binance_usdm", {"volume": more["volume"]}, Evidence(spare_ids=2)),
        judge("binance_spot", more, Evidence(spare_ids=2)),
    ):
        assert {one.class_ for one in wrong.values()} == {Class.OPEN}


def test_block_trades_explain_what_they_make_up_exactly() -> None:
    blocks = Evidence(
        block_volume=Decimal("0.5"), block_quote_volume=Decimal(30_000), block_prices=(Decimal(60_000),)
    )
    found = judge(
        "deribit",
        {
            "volume": (Decimal("1.5"), Decimal("1.00000001")),
            "quote_volume": (Decimal(90_000), Decimal(60_001)),
            "high": (Decimal(59_000), Decimal(60_000)),
            "low": (Decimal(59_000), Decimal(58_000)),
        },
        blocks,
    )
    assert {field: one.class_.value for field, one in found.items()} == {
        "volume": "explained",
        "quote_volume": "open",
        "high": "explained",
        "low": "open",
    }
    assert found["volume"].explanation == "the exchange leaves block trades of 0.5 out"


def test_less_on_usdm_is_open_with_a_guess_and_a_value_that_we_lack_is_open() -> None:
    found = judge(
        "binance_usdm", {"volume": (Decimal(5), Decimal(4)), "first_id": (None, Decimal(1))}, NO_EVIDENCE
    )
    assert {one.class_ for one in found.values()} == {Class.OPEN}
    assert "retail price improvement" in found["volume"].explanation
    assert found["first_id"].explanation == "ours has no value"
