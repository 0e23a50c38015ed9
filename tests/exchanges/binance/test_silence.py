"""Thin market or hung channel: what REST shows decides, an acknowledgement never does."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import Missing, Reason, Reconnect, Rest

BTC = "BTCUSDT"
TRADES = b'[{"id":%d,"price":"4.0","qty":"12.0","time":1499865549590,"isBuyerMaker":true}]'
AGGREGATES = b'[{"a":%d,"p":"0.01","q":"4.7","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]'
KLINES = b'[[1499040000000,"1","1","1","1","5",1499040059999,"5",%d,"1","1","0"]]'
QUOTE = b'{"symbol":"BTCUSDT","bidPrice":"%d","bidQty":"1","askPrice":"9","askQty":"1"}'
TICKER = b'{"symbol":"BTCUSDT","lastId":%d,"count":7}'
MARK = b'{"symbol":"BTCUSDT","markPrice":"1","time":%d}'

LOOKS = [
    ("binance_spot", Channel.TRADE, "/api/v3/trades", 25, TRADES),
    ("binance_spot", Channel.AGGREGATE_TRADE, "/api/v3/aggTrades", 4, AGGREGATES),
    ("binance_spot", Channel.CANDLE, "/api/v3/klines", 2, KLINES),
    ("binance_spot", Channel.QUOTE, "/api/v3/ticker/bookTicker", 2, QUOTE),
    ("binance_spot", Channel.TICKER, "/api/v3/ticker/24hr", 2, TICKER),
    ("binance_usdm", Channel.AGGREGATE_TRADE, "/fapi/v1/aggTrades", 20, AGGREGATES),
    ("binance_usdm", Channel.CANDLE, "/fapi/v1/klines", 1, KLINES),
    ("binance_usdm", Channel.QUOTE, "/fapi/v1/ticker/bookTicker", 2, QUOTE),
    ("binance_usdm", Channel.TICKER, "/fapi/v1/ticker/24hr", 1, TICKER),
]
IDS = [f"{key}-{channel}" for key, channel, *_ in LOOKS]


def trade(sequence: int) -> str:
    data = {"e": "trade", "s": BTC, "t": sequence, "p": "1", "q": "1", "T": 1, "m": True}
    return json.dumps({"stream": "btcusdt@trade", "data": data})


def step(session: BinanceSession, now: float, answer: bytes | None = None) -> list:
    """One due call; a look in it is answered, if there is an answer to give."""
    outputs = [one for one in session.due(now) if isinstance(one, Rest | Reconnect | Missing)]
    for one in outputs:
        if isinstance(one, Rest) and answer is not None:
            assert one.parse(answer) == ()
    return outputs


@pytest.mark.parametrize(("key", "channel", "path", "weight", "body"), LOOKS, ids=IDS)
def test_a_silent_channel_is_looked_at_and_excused_while_the_market_rests(
    subscribed: Callable[..., BinanceSession],
    acknowledging: Callable[..., list[dict]],
    key: str,
    channel: Channel,
    path: str,
    weight: int,
    body: bytes,
) -> None:
    session = subscribed(key, (BTC, channel))
    acknowledging(session, session.due(1.0))
    assert step(session, 30.0) == []
    (look,) = step(session, 30.25, body % 5)
    assert (look.request.path, look.request.query["symbol"], look.request.weight) == (path, BTC, weight)
    assert step(session, 30.5) == [], "the first look only says where the market stands"
    assert not session.live
    assert step(session, 40.0) == []
    (_look,) = step(session, 40.25, body % 5)
    assert step(session, 40.5) == []
    assert session.live, "nothing to deliver: quiet, not hung"
    assert step(session, 70.5) == []
    (_look,) = step(session, 70.75, body % 5)
    assert step(session, 71.0) == [], "what the first look found still serves"
    assert session.live


@pytest.mark.parametrize(("key", "channel", "path", "weight", "body"), LOOKS, ids=IDS)
def test_a_channel_that_never_delivers_while_the_market_moves_is_given_up(
    subscribed: Callable[..., BinanceSession],
    acknowledging: Callable[..., list[dict]],
    key: str,
    channel: Channel,
    path: str,
    weight: int,
    body: bytes,
) -> None:
    session = subscribed(key, (BTC, channel))
    acknowledging(session, session.due(1.0))
    step(session, 30.25, body % 5)
    step(session, 30.5)
    assert len(step(session, 40.25, body % 6)) == 1
    assert step(session, 40.5) == [], "it may be on its way"
    assert step(session, 45.5) == []
    assert step(session, 45.75) == [Reconnect(Reason.NEVER_DELIVERED, next(iter(session.subscriptions)))]
    assert not session.live


@pytest.fixture
def spot_trades(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> BinanceSession:
    session = subscribed("binance_spot", (BTC, Channel.TRADE))
    acknowledging(session, session.due(1.0))
    session.receive(trade(100), 1)
    session.due(2.0)
    return session


def test_one_look_is_enough_where_the_last_sequence_is_known(spot_trades: BinanceSession) -> None:
    assert step(spot_trades, 32.0) == []
    (_look,) = step(spot_trades, 32.25, TRADES % 101)
    assert step(spot_trades, 32.5) == []
    assert step(spot_trades, 37.75) == [Reconnect(Reason.CHANNEL_SILENT, "btcusdt@trade")]


@pytest.mark.parametrize("newest", [99, 100])
def test_a_market_that_has_nothing_newer_than_we_is_quiet(spot_trades: BinanceSession, newest: int) -> None:
    step(spot_trades, 32.25, TRADES % newest)
    step(spot_trades, 32.5)
    assert spot_trades.subscriptions["btcusdt@trade"].quiet
    assert step(spot_trades, 62.5) == []
    assert len(step(spot_trades, 62.75)) == 1


def test_a_message_that_was_only_late_ends_the_case(spot_trades: BinanceSession) -> None:
    step(spot_trades, 32.25, TRADES % 101)
    step(spot_trades, 32.5)
    spot_trades.receive(trade(101), 1)
    for now in (33.0, 38.0, 62.0):
        assert step(spot_trades, now) == []
    (_look,) = step(spot_trades, 63.25, TRADES % 101)
    assert step(spot_trades, 63.5) == []
    assert step(spot_trades, 70.0) == []


def test_a_look_that_fails_proves_nothing_and_is_repeated(spot_trades: BinanceSession) -> None:
    (look,) = step(spot_trades, 32.25)
    assert look.failed("unreachable") == ()
    assert step(spot_trades, 40.0) == []
    (look,) = step(spot_trades, 42.25)
    assert look.parse(b"<html>") == (), "a body that is no answer is a look that failed"
    (look,) = step(spot_trades, 52.25)
    assert step(spot_trades, 112.0) == [], "no answer yet"
    assert step(spot_trades, 112.5) == []
    assert len(step(spot_trades, 112.75)) == 1, "an answer that is lost is a look that failed"


def test_a_wholly_silent_connection_goes_though_rest_cannot_say(spot_trades: BinanceSession) -> None:
    now = 32.25
    for _ in range(6):
        outputs = step(spot_trades, now)
        if isinstance(outputs[0], Reconnect):
            break
        outputs[0].failed("unreachable")
        now += 12.0
    assert now == 92.25
    assert outputs == [Reconnect(Reason.SESSION_SILENT, "no channel delivers and REST does not answer")]


def test_what_was_traded_between_two_connections_is_missing_before_any_trade_comes(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    session = subscribed("binance_usdm", (BTC, Channel.AGGREGATE_TRADE))
    session.expect({BTC: 90})
    acknowledging(session, session.due(1.0))
    step(session, 30.25, AGGREGATES % 100)
    assert step(session, 30.5) == [Missing(BTC, Channel.AGGREGATE_TRADE, 91, 100)]
    step(session, 40.5, AGGREGATES % 100)
    assert step(session, 40.75) == []
    assert session.live


def test_looks_are_paced_by_their_weight(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    symbols = [f"A{number}USDT" for number in range(20)]
    session = subscribed("binance_usdm", *((symbol, Channel.AGGREGATE_TRADE) for symbol in symbols))
    acknowledging(session, session.due(1.0))
    asked = []
    for quarter in range(4 * 30, 4 * 90):
        outputs = step(session, quarter / 4, AGGREGATES % 5)
        asked += [(quarter / 4, one.request.weight) for one in outputs]
    assert len(asked) > 10
    assert all(later - earlier >= 4.0 for (earlier, _), (later, _) in pairwise(asked))
    assert sum(weight for _, weight in asked) <= 5 * 60 + 20


# markPrice@1s ticks every second whatever the market does


def mark(symbol: str) -> str:
    data = {"e": "markPriceUpdate", "E": 1, "s": symbol, "p": "1", "i": "1", "P": "1", "r": "0", "T": 1}
    return json.dumps({"stream": f"{symbol.lower()}@markPrice@1s", "data": data})


def test_without_any_mark_price_the_connection_is_hung(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    session = subscribed("binance_usdm", (BTC, Channel.MARK), ("ETHUSDT", Channel.MARK))
    acknowledging(session, session.due(1.0))
    assert step(session, 10.0) == []
    assert step(session, 10.25) == [Reconnect(Reason.NEVER_DELIVERED, "btcusdt@markPrice@1s")]


def test_marks_that_stop_are_a_silent_channel(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    session = subscribed("binance_usdm", (BTC, Channel.MARK))
    acknowledging(session, session.due(1.0))
    session.receive(mark(BTC), 1)
    assert step(session, 5.0) == []
    assert step(session, 15.0) == []
    assert step(session, 15.25) == [Reconnect(Reason.CHANNEL_SILENT, "btcusdt@markPrice@1s")]


def test_one_mark_price_alone_may_belong_to_a_contract_that_ended(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    session = subscribed("binance_usdm", (BTC, Channel.MARK), ("ETHUSDT", Channel.MARK))
    acknowledging(session, session.due(1.0))
    answers = {10.25: 1_000, 20.5: 2_000}
    for quarter in range(4 * 10, 4 * 25):
        session.receive(mark("ETHUSDT"), 1)
        outputs = step(session, quarter / 4, MARK % answers.get(quarter / 4, 2_000))
        assert not any(isinstance(one, Reconnect) for one in outputs)
        if outputs:
            assert quarter / 4 in (10.25, 20.25)
    outputs = []
    for quarter in range(4 * 25, 4 * 30):
        session.receive(mark("ETHUSDT"), 1)
        outputs += step(session, quarter / 4)
    assert outputs[0] == Reconnect(Reason.NEVER_DELIVERED, "btcusdt@markPrice@1s")


def test_liquidations_may_be_silent_for_ever(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    session = subscribed("binance_usdm", (BTC, Channel.LIQUIDATION), ("", Channel.INSTRUMENT_STATE))
    acknowledging(session, session.due(1.0))
    assert step(session, 100_000.0) == []
    assert session.live


def test_a_minute_without_trades_excuses_its_candles_at_once(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> None:
    session = subscribed("binance_spot", (BTC, Channel.CANDLE))
    acknowledging(session, session.due(1.0))
    step(session, 30.25, KLINES % 0)
    assert step(session, 30.5) == []
    assert session.live
    assert step(session, 60.0) == []


def test_a_case_ends_with_its_subscription(spot_trades: BinanceSession) -> None:
    step(spot_trades, 32.25, TRADES % 101)
    step(spot_trades, 32.5)
    spot_trades.change([], 33.0)
    spot_trades.change([Wanted(BTC, Channel.TRADE)], 33.5)
    spot_trades.receive(trade(105), 1)
    assert step(spot_trades, 34.0) == []
    for now in (38.0, 43.0, 64.25):
        assert not any(
            isinstance(one, Reconnect) and one.reason is Reason.CHANNEL_SILENT
            for one in step(spot_trades, now)
        )
