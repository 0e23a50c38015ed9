"""Connections inside the limits, and stable when the selection changes."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.plans import SHARD

SPOT = BinanceSpot()
USDM = BinanceUsdm()


def trades(numbers: Iterable[int]) -> list[Wanted]:
    return [Wanted(f"A{number:04}USDT", Channel.AGGREGATE_TRADE) for number in numbers]


def test_usdm_books_lie_on_another_route_than_the_rest() -> None:
    wanted = [Wanted("BTCUSDT", channel) for channel in USDM.channels]
    plans = USDM.plan([*wanted, Wanted("", Channel.INSTRUMENT_STATE)])
    assert [(plan.name, plan.path, {one.channel for one in plan.wanted}) for plan in plans] == [
        ("public-0", "/public/stream", {Channel.QUOTE}),
        ("market-0", "/market/stream", (USDM.channels | USDM.exchange_channels) - {Channel.QUOTE}),
    ]


def test_spot_needs_one_kind_of_connection() -> None:
    (plan,) = SPOT.plan([Wanted("BTCUSDT", channel) for channel in SPOT.channels])
    assert (plan.name, plan.path) == ("market-0", "/stream")
    assert {one.channel for one in plan.wanted} == SPOT.channels - {Channel.AGGREGATE_TRADE}


def test_what_an_exchange_offers() -> None:
    assert SPOT.channels == {
        Channel.TRADE, Channel.AGGREGATE_TRADE, Channel.CANDLE, Channel.QUOTE, Channel.TICKER,
    }  # fmt: skip
    assert USDM.channels == {
        Channel.AGGREGATE_TRADE, Channel.CANDLE, Channel.QUOTE, Channel.TICKER, Channel.MARK,
        Channel.OPEN_INTEREST, Channel.LIQUIDATION,
    }  # fmt: skip
    assert SPOT.exchange_channels == frozenset()
    assert USDM.exchange_channels == {Channel.INSTRUMENT_STATE}


def test_what_an_exchange_does_not_have_needs_no_connection() -> None:
    assert SPOT.plan([Wanted("BTCUSDT", Channel.MARK)]) == []


def test_many_streams_need_many_connections() -> None:
    plans = SPOT.plan(trades(range(450)))
    assert [(plan.name, len(plan.wanted)) for plan in plans] == [
        ("market-0", 200), ("market-1", 200), ("market-2", 50),
    ]  # fmt: skip


def test_room_is_filled_before_a_connection_is_added_and_nothing_moves() -> None:
    before = SPOT.plan(trades(range(450)))
    after = SPOT.plan([*trades(range(10, 450)), *trades(range(1000, 1170))], before)
    assert [plan.name for plan in after] == ["market-0", "market-1", "market-2", "market-3"]
    assert [len(plan.wanted) for plan in after] == [200, 200, 200, 10]
    assert after[0].wanted[:190] == before[0].wanted[10:]
    assert after[1] == before[1]


def test_an_emptied_connection_goes_and_its_name_is_free_later() -> None:
    before = SPOT.plan(trades(range(201)))
    after = SPOT.plan(trades(range(200, 201)), before)
    assert [plan.name for plan in after] == ["market-1"]
    again = SPOT.plan(trades(range(100, 400)), after)
    assert sorted(plan.name for plan in again) == ["market-0", "market-1"]
    assert sum(len(plan.wanted) for plan in again) == 300


numbers = st.sets(st.integers(0, 900), max_size=500)


@given(first=numbers, second=numbers)
def test_a_plan_holds_all_once_within_the_limit_and_keeps_what_stays(
    first: set[int], second: set[int]
) -> None:
    before = USDM.plan(trades(first))
    after = USDM.plan(trades(second), before)
    held = [one for plan in after for one in plan.wanted]
    assert sorted(one.symbol for one in held) == sorted(one.symbol for one in trades(second))
    assert all(0 < len(plan.wanted) <= SHARD for plan in after)
    place = {one: plan.name for plan in after for one in plan.wanted}
    assert all(place.get(one, plan.name) == plan.name for plan in before for one in plan.wanted)
