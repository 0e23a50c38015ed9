"""What each channel of Binance is compared with when it is silent; ../test_silence.py has the rules."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import Missing, Reason, Reconnect, Rest

BTC = "BTCUSDT"
AGGREGATES = b'[{"a":%d,"p":"0.01","q":"4.7","f":1,"l":1,"T":1498793709153,"m":true,"M":true}]'
RAW = b'[{"a":7,"p":"0.01","q":"4.7","f":1,"l":%d,"T":1498793709153,"m":true,"M":true}]'
KLINES = b'[[1499040000000,"1","1","1","1","5",1499040059999,"5",%d,"1","1","0"]]'
QUOTE = b'{"symbol":"BTCUSDT","bidPrice":"%d","bidQty":"1","askPrice":"9","askQty":"1"}'
TICKER = b'{"symbol":"BTCUSDT","lastId":%d,"count":7}'
MARK = b'{"symbol":"BTCUSDT","markPrice":"1","time":%d}'

LOOKS = [
    ("binance_spot", Channel.TRADE, "/api/v3/aggTrades", 4, RAW),
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


def event(channel: Channel, newest: int) -> str:
    """A message of BTC whose mark is what the bodies above show for the same number."""
    kline = {"t": 1499040000000, "s": BTC, "i": "1m", "f": 1, "L": 1, "n": newest, "x": False}
    kline |= dict.fromkeys("ochlvqVQ", "1")
    suffix, data = {
        Channel.TRADE: ("trade", {"e": "trade", "t": newest, "p": "1", "q": "1", "T": 1, "m": True}),
        Channel.AGGREGATE_TRADE: (
            "aggTrade",
            {"e": "aggTrade", "a": newest, "p": "1", "q": "1", "f": 1, "l": 1, "T": 1, "m": True},
        ),
        Channel.CANDLE: ("kline_1m", {"e": "kline", "E": 1, "k": kline}),
        Channel.QUOTE: (
            "bookTicker",
            {"e": "bookTicker", "u": 1, "b": str(newest), "B": "1", "a": "9", "A": "1"},
        ),
        Channel.TICKER: (
            "ticker",
            {"e": "24hrTicker", "E": 1, "L": newest, "n": 7, **dict.fromkeys("chlvq", "1")},
        ),
        Channel.MARK: (
            "markPrice@1s",
            {"e": "markPriceUpdate", "E": newest, "p": "1", "i": "1", "P": "1", "r": "0", "T": 1},
        ),
    }[channel]
    return json.dumps({"stream": f"btcusdt@{suffix}", "data": {"s": BTC, **data}})


class Ticks:
    """A session that is asked every quarter of a second; looks are answered by the next one."""

    def __init__(self, session: BinanceSession, now: float = 1.0) -> None:
        self.session = session
        self.now = now
        self.body: bytes | None = None
        self.asked: list[tuple[float, Rest]] = []

    def until(self, moment: float, body: bytes | None = None) -> list[Reconnect | Missing]:
        """What comes out but looks; ends at a Reconnect."""
        found: list[Reconnect | Missing] = []
        while self.now < moment and not (found and isinstance(found[-1], Reconnect)):
            self.now += 0.25
            for output in self.session.due(self.now):
                if isinstance(output, Rest):
                    self.asked.append((self.now, output))
                    if body is not None:
                        assert output.parse(body) == ()
                elif isinstance(output, Reconnect | Missing):
                    found.append(output)
        return found

    def look(self) -> Rest:
        return self.asked[-1][1]


@pytest.fixture
def ticks(
    subscribed: Callable[..., BinanceSession], acknowledging: Callable[..., list[dict]]
) -> Callable[..., Ticks]:
    """Subscribed and acknowledged at 0, listed at 1."""

    def make(key: str, *wanted: tuple[str, Channel], expected: int | None = None) -> Ticks:
        session = subscribed(key, *wanted)
        if expected is not None:
            session.expect({BTC: expected})
        acknowledging(session, session.due(1.0))
        return Ticks(session)

    return make


@pytest.mark.parametrize(("key", "channel", "path", "weight", "body"), LOOKS, ids=IDS)
def test_a_channel_that_never_delivered_is_looked_at_twice_and_excused_while_the_market_rests(
    ticks: Callable[..., Ticks], key: str, channel: Channel, path: str, weight: int, body: bytes
) -> None:
    run = ticks(key, (BTC, channel))
    assert run.until(5.5, body % 5) == []
    request = run.look().request
    assert (request.path, request.query["symbol"], request.weight) == (path, BTC, weight)
    assert not run.session.live, "the first look only says where the market stands"
    assert run.until(10.0, body % 5) == []
    assert len(run.asked) == 2
    assert run.session.live, "nothing to deliver: quiet, not hung"
    assert run.until(120.0, body % 5) == []
    assert len(run.asked) <= 7


@pytest.mark.parametrize(("key", "channel", "path", "weight", "body"), LOOKS, ids=IDS)
def test_a_channel_that_never_delivers_while_the_market_moves_is_given_up(
    ticks: Callable[..., Ticks], key: str, channel: Channel, path: str, weight: int, body: bytes
) -> None:
    run = ticks(key, (BTC, channel))
    run.until(7.0, body % 5)
    (end,) = run.until(30.0, body % 6)
    name = next(iter(run.session.subscriptions))
    assert end == Reconnect(Reason.NEVER_DELIVERED, f"{name}: nothing for {run.now - 1:.0f} s")
    assert run.now <= 15.0
    assert not run.session.live


@pytest.mark.parametrize(("key", "channel", "path", "weight", "body"), LOOKS, ids=IDS)
def test_what_a_channel_told_last_is_what_rest_is_compared_with(
    ticks: Callable[..., Ticks], key: str, channel: Channel, path: str, weight: int, body: bytes
) -> None:
    run = ticks(key, (BTC, channel))
    for newest in range(100, 140):
        run.session.receive(event(channel, newest), 1)
        assert run.until(run.now + 0.5) == []
    silent_since = run.now
    assert run.until(silent_since + 40.0, body % 139) == [], "REST knows no more than was told"
    run.session.receive(event(channel, 140), 1)
    run.until(run.now + 1.0)
    (end,) = run.until(run.now + 40.0, body % 141)
    assert end.reason is Reason.CHANNEL_SILENT


@pytest.mark.parametrize(("key", "channel", "path", "weight", "body"), LOOKS, ids=IDS)
def test_a_channel_that_spoke_often_is_given_up_in_time(
    ticks: Callable[..., Ticks], key: str, channel: Channel, path: str, weight: int, body: bytes
) -> None:
    run = ticks(key, (BTC, channel))
    for newest in range(100, 140):
        run.session.receive(event(channel, newest), 1)
        assert run.until(run.now + 1.0) == []
    silent_since = run.now
    (end,) = run.until(silent_since + 40.0, body % 150)
    assert end.reason is Reason.CHANNEL_SILENT
    assert run.now - silent_since <= 14.0


def test_a_message_that_was_only_late_ends_the_case(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_spot", (BTC, Channel.TRADE))
    run.session.receive(event(Channel.TRADE, 100), 1)
    run.until(11.0, RAW % 101)
    assert run.asked
    run.session.receive(event(Channel.TRADE, 101), 1)
    assert run.until(100.0, RAW % 101) == []


def test_what_was_traded_between_two_connections_is_missing_before_any_trade_comes(
    ticks: Callable[..., Ticks],
) -> None:
    run = ticks("binance_usdm", (BTC, Channel.AGGREGATE_TRADE), expected=90)
    assert run.until(20.0, AGGREGATES % 100) == [Missing(BTC, Channel.AGGREGATE_TRADE, 91, 100)]
    assert run.session.live


def test_looks_keep_to_their_share_of_the_weight(ticks: Callable[..., Ticks]) -> None:
    symbols = [f"A{number}USDT" for number in range(100)]
    run = ticks("binance_usdm", *((symbol, Channel.AGGREGATE_TRADE) for symbol in symbols))
    run.until(61.0, AGGREGATES % 5)
    assert 250 <= sum(one.request.weight for _, one in run.asked) <= 5 * 60 + 60


# markPrice@1s ticks every second whatever the market does


def test_without_any_mark_price_the_connection_is_hung(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_usdm", (BTC, Channel.MARK), ("ETHUSDT", Channel.MARK))
    (end,) = run.until(30.0)
    assert end == Reconnect(Reason.NEVER_DELIVERED, "btcusdt@markPrice@1s: nothing for 10 s")
    assert run.now <= 12.0


def test_marks_that_stop_are_a_silent_channel(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_usdm", (BTC, Channel.MARK))
    run.session.receive(event(Channel.MARK, 1), 1)
    (end,) = run.until(30.0)
    assert end == Reconnect(Reason.CHANNEL_SILENT, "btcusdt@markPrice@1s: nothing for 10 s")


@pytest.mark.parametrize(("time", "hung"), [(100, False), (101, True)])
def test_one_mark_price_alone_may_belong_to_a_contract_that_ended(
    ticks: Callable[..., Ticks], time: int, *, hung: bool
) -> None:
    run = ticks("binance_usdm", (BTC, Channel.MARK), ("ETHUSDT", Channel.MARK))
    other = event(Channel.MARK, 1).replace(BTC, "ETHUSDT").replace("btcusdt", "ethusdt")
    run.session.receive(event(Channel.MARK, 100), 1)
    ends = []
    while not ends and run.now < 60.0:
        run.session.receive(other, 1)
        ends = run.until(run.now + 0.5, MARK % time)
    assert [one.reason for one in ends] == ([Reason.CHANNEL_SILENT] if hung else [])


def test_a_symbol_that_does_not_exist_is_asked_about_no_more(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_spot", (BTC, Channel.TRADE))
    run.until(6.0)
    assert run.look().failed is not None
    run.look().failed("-1121: Invalid symbol.")
    assert run.until(300.0) == []
    assert len(run.asked) == 1
    assert run.session.live


def test_liquidations_may_be_silent_for_ever(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_usdm", (BTC, Channel.LIQUIDATION), ("", Channel.INSTRUMENT_STATE))
    assert run.until(1000.0) == []
    assert run.asked == []
    assert run.session.live


def test_a_minute_without_trades_excuses_its_candles_at_once(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_spot", (BTC, Channel.CANDLE))
    assert run.until(6.0, KLINES % 0) == []
    assert run.session.live


def test_a_case_ends_with_its_subscription(ticks: Callable[..., Ticks]) -> None:
    run = ticks("binance_spot", (BTC, Channel.TRADE))
    run.session.receive(event(Channel.TRADE, 100), 1)
    run.until(11.0, RAW % 101)
    assert run.asked
    run.session.change([], 11.0)
    run.session.change([Wanted(BTC, Channel.TRADE)], 11.5)
    run.session.receive(event(Channel.TRADE, 105), 1)
    assert not any(
        isinstance(one, Reconnect) and one.reason is Reason.CHANNEL_SILENT for one in run.until(21.0)
    )
