from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from trade_platform.domain.model import Candle, Channel, Metric, Number, Trade, TradeFlag
from trade_platform.exchanges.session import Missing

BTC = "BTC-PERPETUAL"
TRADES, TICKER, QUOTE, CHART = (
    f"trades.{BTC}.100ms",
    f"ticker.{BTC}.100ms",
    f"quote.{BTC}",
    f"chart.trades.{BTC}.1",
)
SECOND = 1_000_000
Conversation = Callable[..., Any]
ATrade = Callable[..., dict[str, Any]]


def told(outputs: Any) -> list[Any]:
    """Sequences of trades; pairs for what is missing."""
    return [
        (one.symbol, one.channel, one.first, one.last) if isinstance(one, Missing) else one.sequence
        for one in outputs
    ]


def test_a_jump_is_missing_before_the_trade_that_jumps(conversation: Conversation, a_trade: ATrade) -> None:
    talk = conversation((BTC, "trade"))
    assert told(talk.tell(TRADES, [a_trade(5), a_trade(6)])) == [5, 6]
    assert told(talk.tell(TRADES, [a_trade(9), a_trade(11)])) == [
        (BTC, Channel.TRADE, 7, 8),
        9,
        (BTC, Channel.TRADE, 10, 10),
        11,
    ]
    assert told(talk.tell(TRADES, [a_trade(12)])) == [12]


def test_repetition_is_no_jump_and_does_not_turn_the_count_back(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade"))
    talk.tell(TRADES, [a_trade(5), a_trade(6), a_trade(7)])
    assert told(talk.tell(TRADES, [a_trade(5)])) == [5]
    assert told(talk.tell(TRADES, [a_trade(8)])) == [8]


def test_what_is_expected_is_missing_before_the_first_trade(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade"))
    talk.session.expect({BTC: 100, "ETH-PERPETUAL": 7})
    talk.session.expect({BTC: 90})
    assert told(talk.tell(TRADES, [a_trade(104)])) == [(BTC, Channel.TRADE, 101, 103), 104]
    contiguous = conversation((BTC, "trade"))
    contiguous.session.expect({BTC: 100})
    assert told(contiguous.tell(TRADES, [a_trade(101)])) == [101]


def test_sequences_are_per_instrument_and_an_unordered_array_is_put_in_order(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation()
    outputs = talk.tell("trades.option.any.100ms", [a_trade(2, "A-C"), a_trade(9, "B-P"), a_trade(1, "A-C")])
    assert [(one.symbol, one.sequence) for one in outputs] == [("A-C", 1), ("A-C", 2), ("B-P", 9)]


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, 0),
        ({"block_trade_id": "BLOCK-1", "block_trade_leg_count": 2}, TradeFlag.BLOCK),
        ({"liquidation": "M"}, TradeFlag.MAKER_LIQUIDATED),
        ({"liquidation": "T"}, TradeFlag.TAKER_LIQUIDATED),
        ({"liquidation": "MT"}, TradeFlag.MAKER_LIQUIDATED | TradeFlag.TAKER_LIQUIDATED),
        ({"combo_id": "BTC-FS-1_PERP", "combo_trade_id": 5}, TradeFlag.COMBO),
        ({"combo_id": "X", "block_trade_id": "Y"}, TradeFlag.COMBO | TradeFlag.BLOCK),
    ],
)
def test_flags(conversation: Conversation, a_trade: ATrade, fields: dict[str, Any], flags: int) -> None:
    talk = conversation((BTC, "trade"))
    (trade,) = talk.tell(TRADES, [a_trade(1, **fields)])
    assert trade.flags == flags
    assert talk.session.ignored == {}


def test_an_options_trade(conversation: Conversation, a_trade: ATrade) -> None:
    (trade,) = conversation().tell("trades.X.raw", [a_trade(1, iv=78.44, direction="buy", price=1e-05)])
    assert isinstance(trade, Trade)
    assert (trade.iv, trade.side, trade.price) == (Decimal("78.44"), "buy", Decimal("0.00001"))


def a_bar(tick: int, close: float, volume: float = 1.5) -> dict[str, Any]:
    return {"tick": tick, "open": 1, "high": 9.5, "low": 0.5, "close": close, "volume": volume, "cost": 60.0}


def test_a_candle_is_final_when_a_higher_tick_arrives(conversation: Conversation) -> None:
    talk = conversation((BTC, "candle"))
    talk.tell(CHART, a_bar(60_000, 2.0))
    (running,) = talk.tell(CHART, a_bar(60_000, 3.0))
    assert not running.closed
    closed, following = talk.tell(CHART, a_bar(120_000, 4.0))
    assert (closed.open_time, closed.close, closed.closed) == (60 * SECOND, 3, True)
    assert closed.receive_time == talk.market  # known since now
    assert (following.open_time, following.closed) == (120 * SECOND, False)
    (restated,) = talk.tell(CHART, a_bar(60_000, 3.5))  # of a minute that is over
    assert (restated.close, restated.closed) == (Decimal("3.5"), True)
    (same,) = talk.tell(CHART, a_bar(120_000, 4.0))
    assert not same.closed


def test_a_candle_in_full(conversation: Conversation) -> None:
    talk = conversation((BTC, "candle"))
    assert talk.tell(CHART, a_bar(60_000, 2.0)) == (
        Candle(
            symbol=BTC,
            interval="1m",
            open_time=60 * SECOND,
            open=Decimal(1),
            high=Decimal("9.5"),
            low=Decimal("0.5"),
            close=Decimal(2),
            volume=Decimal("1.5"),
            quote_volume=Decimal(60),
            trades=None,
            taker_buy_volume=None,
            taker_buy_quote_volume=None,
            first_id=None,
            last_id=None,
            closed=False,
            event_time=60 * SECOND,
            receive_time=talk.market,
        ),
    )


@pytest.mark.parametrize(
    ("resolution", "interval"), [("1", "1m"), ("3", "3m"), ("60", "1h"), ("720", "12h"), ("1D", "1d")]
)
def test_other_resolutions_are_understood(conversation: Conversation, resolution: str, interval: str) -> None:
    (candle,) = conversation().tell(f"chart.trades.X.{resolution}", a_bar(60_000, 2.0))
    assert (candle.symbol, candle.interval) == ("X", interval)


def a_quote(milliseconds: int, bid: float | None) -> dict[str, Any]:
    return {"timestamp": milliseconds, "best_bid_price": bid, "instrument_name": BTC}


def bids(outputs: Any) -> list[int]:
    return [int(one.value) for one in outputs]


def test_every_quote_is_kept_with_interval_zero_and_those_of_one_millisecond_differ(
    conversation: Conversation,
) -> None:
    talk = conversation((BTC, "quote"))
    outputs = [one for n, at in enumerate([5, 5, 5, 6, 6]) for one in talk.tell(QUOTE, a_quote(at, n))]
    assert [(one.value, one.event_time, one.update) for one in outputs] == [
        (0, 5000, 0),
        (1, 5000, 1),
        (2, 5000, 2),
        (3, 6000, 0),
        (4, 6000, 1),
    ]


def test_nulls_are_left_out(conversation: Conversation) -> None:
    talk = conversation((BTC, "quote"))
    data = {**a_quote(1, None), "best_bid_amount": 0.0, "best_ask_price": 7, "best_ask_amount": 2.5}
    assert [(one.metric, str(one.value)) for one in talk.tell(QUOTE, data)] == [
        (Metric.BEST_BID_QUANTITY, "0.0"),
        (Metric.BEST_ASK, "7"),
        (Metric.BEST_ASK_QUANTITY, "2.5"),
    ]


def test_the_last_quote_of_each_interval_is_kept(conversation: Conversation) -> None:
    talk = conversation((BTC, "quote"), quote_interval=SECOND)
    talk.open()
    kept = []
    for n in range(25):
        talk.market = (1000 + n // 10) * SECOND + (n % 10) * 1000
        kept += bids(talk.tell(QUOTE, a_quote(n, n)))
    assert kept == [9, 19]
    talk.market = 1003 * SECOND
    talk.heartbeat()  # anything tells the market's time
    assert bids(talk.after(0.25)) == [24]
    assert bids(talk.after(0.25)) == []


def test_a_held_quote_waits_for_the_end_of_its_interval_by_our_clock_if_need_be(
    conversation: Conversation,
) -> None:
    talk = conversation((BTC, "quote"), quote_interval=SECOND)
    talk.open()
    talk.market = 1000 * SECOND
    assert bids(talk.tell(QUOTE, a_quote(1, 1))) == []
    assert bids(talk.after(0.1)) == []
    assert bids(talk.after(0.5)) == []
    assert bids(talk.after(0.6)) == [1]
    talk.tell(QUOTE, a_quote(2, 2))
    assert bids(talk.after(0.1)) == []
    assert bids(talk.after(1.1)) == [2]


def test_a_clock_that_is_set_back_does_not_silence_quotes(conversation: Conversation) -> None:
    talk = conversation((BTC, "quote"), quote_interval=SECOND)
    talk.open()
    talk.market = 5000 * SECOND
    talk.tell(QUOTE, a_quote(1, 1))
    talk.market = 1000 * SECOND
    talk.tell(QUOTE, a_quote(2, 2))
    talk.after(0.1)
    assert bids(talk.after(1.1)) == [2]


def test_indices_and_trades_are_not_thinned(conversation: Conversation, a_trade: ATrade) -> None:
    talk = conversation(quote_interval=SECOND)
    for n in range(3):
        price = {"timestamp": n, "price": n, "index_name": "btc_usd"}
        assert talk.tell("deribit_price_index.btc_usd", price) == [
            Number("btc_usd", Metric.INDEX_PRICE, Decimal(n), n * 1000, talk.market, Channel.INDEX)
        ]
        assert len(talk.tell(TRADES, [a_trade(n)])) == 1


def test_volatility_index(conversation: Conversation) -> None:
    talk = conversation(("btc_usd", "volatility"))
    said = {"timestamp": 5, "volatility": 129.36, "index_name": "btc_usd"}
    assert talk.tell("deribit_volatility_index.btc_usd", said) == [
        Number("btc_usd", Metric.VOLATILITY_INDEX, Decimal("129.36"), 5000, talk.market, Channel.VOLATILITY)
    ]


@pytest.mark.parametrize(
    ("stats", "option", "expected"),
    [
        ({"volume_usd": 5, "volume_notional": 6}, False, 6),
        ({"volume_usd": 5}, False, 5),
        ({"volume_usd": 5}, True, None),  # an inverse option's quote currency is not USD
        ({"volume_usd": 5, "volume_notional": 6}, True, 6),
        ({"volume_usd": None}, False, None),
    ],
)
def test_quote_volume_is_in_quote_currency_or_absent(
    conversation: Conversation, stats: dict[str, Any], option: bool, expected: int | None
) -> None:
    ticker = {"timestamp": 1, "stats": stats, **({"mark_iv": 50} if option else {})}
    found = {one.metric: one.value for one in conversation((BTC, "ticker")).tell(TICKER, ticker)}
    assert found.get(Metric.QUOTE_VOLUME_24H) == expected
