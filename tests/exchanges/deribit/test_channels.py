from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.deribit.channels import CHANNELS_A_CONNECTION, names_of


def wanted(*pairs: tuple[str, str]) -> list[Wanted]:
    return [Wanted(symbol, Channel(channel)) for symbol, channel in pairs]


@pytest.mark.parametrize(
    ("symbol", "channel", "names"),
    [
        ("BTC-PERPETUAL", "trade", ("trades.BTC-PERPETUAL.100ms",)),
        ("BTC-PERPETUAL", "candle", ("chart.trades.BTC-PERPETUAL.1",)),
        ("XRP_USDC-30JUN23-0d625-C", "ticker", ("ticker.XRP_USDC-30JUN23-0d625-C.100ms",)),
        ("BTC_USDC", "quote", ("quote.BTC_USDC",)),
        ("btc_usdc", "index", ("deribit_price_index.btc_usdc",)),
        ("btc_usd", "volatility", ("deribit_volatility_index.btc_usd",)),
        ("", "platform", ("platform_state", "platform_state.public_methods_state")),
        ("", "instrument_state", ("instrument.state.any.any",)),
        ("btc_usd", "trade", ()),
        ("BTC-PERPETUAL", "index", ()),
        ("BTC-PERPETUAL", "platform", ()),
        ("", "trade", ()),
        ("BTC-PERPETUAL", "aggregate_trade", ()),
    ],
)
def test_channel_names(symbol: str, channel: str, names: tuple[str, ...]) -> None:
    assert names_of(Wanted(symbol, Channel(channel))) == names


def test_a_few_channels_share_a_connection() -> None:
    asked = wanted(("BTC-PERPETUAL", "trade"), ("", "platform"), ("btc_usd", "trade"))
    (plan,) = Deribit().plan(asked)
    assert (plan.name, plan.path) == ("market-0", "/ws/api/v2")
    assert plan.wanted == tuple(asked[:2])  # what cannot be had is left out
    assert Deribit().plan([]) == []


symbols = st.sets(st.integers(0, 1500).map("BTC-{}-C".format), max_size=1500)


@given(symbols, symbols)
def test_what_was_placed_stays_and_nothing_is_lost_or_doubled(before: set[str], after: set[str]) -> None:
    first = Deribit().plan(wanted(*((symbol, "trade") for symbol in sorted(before))))
    second = Deribit().plan(wanted(*((symbol, "trade") for symbol in sorted(after))), first)
    placed = Counter(one.symbol for plan in second for one in plan.wanted)
    assert placed == dict.fromkeys(after, 1)
    assert all(len(plan.wanted) <= CHANNELS_A_CONNECTION for plan in second)
    assert len({plan.name for plan in second}) == len(second)
    place = {one.symbol: plan.name for plan in first for one in plan.wanted}
    for plan in second:
        for one in plan.wanted:
            assert place.get(one.symbol, plan.name) == plan.name


def test_a_connection_has_only_so_many_channels() -> None:
    plans = Deribit().plan(wanted(*((f"BTC-{n}-C", "trade") for n in range(1000))))
    assert [(plan.name, len(plan.wanted)) for plan in plans] == [
        ("market-0", 400),
        ("market-1", 400),
        ("market-2", 200),
    ]


def test_more_than_the_exchange_allows_connections_for_is_packed_closer() -> None:
    plans = Deribit().plan(wanted(*((f"BTC-{n}-C", "trade") for n in range(12_000))))
    assert len(plans) <= 24
    assert sum(len(plan.wanted) for plan in plans) == 12_000


def test_only_raw_trades_prove_completeness() -> None:
    assert Deribit().trade_channel([Channel.CANDLE, Channel.TRADE]) is Channel.TRADE
    assert Deribit().trade_channel([Channel.CANDLE]) is None
