"""What each channel of Deribit is compared with when it is silent; ../test_silence.py has the rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trade_platform.exchanges.session import Missing, Reason, Reconnect, Rest

BTC, OPTION = "BTC-PERPETUAL", "BTC-27DEC26-60000-C"
PATH = "/api/v2/public/"
Conversation = Callable[..., Any]
ATrade = Callable[..., dict[str, Any]]


def trades(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"trades": listed, "has_more": False}


def a_ticker(mark: float, **fields: Any) -> dict[str, Any]:
    return {"timestamp": 5, "state": "open", "mark_price": mark, "best_bid_price": 1.5, **fields}


def a_bar(volume: float, tick: int = 60_000) -> dict[str, Any]:
    return {"tick": tick, "open": 1, "high": 1, "low": 1, "close": 1, "volume": volume, "cost": 1}


class Watched:
    """A conversation in which time passes by halves of a second, with heartbeats and answers by REST."""

    def __init__(self, talk: Any) -> None:
        self.talk = talk
        self.questions: list[Rest] = []

    def ends(self, seconds: float, result: Any = None) -> list[Any]:
        """What comes out of so much silence, but questions; each is answered by this result, if any."""
        found: list[Any] = []
        end = self.talk.now + seconds
        while self.talk.now < end and not any(isinstance(one, Reconnect) for one in found):
            self.talk.heartbeat()
            for output in self.talk.after(0.5):
                if not isinstance(output, Rest):
                    found.append(output)
                    continue
                self.questions.append(output)
                if result is not None:
                    output.parse(json.dumps({"jsonrpc": "2.0", "result": result}).encode())
        return found

    def end(self, seconds: float, result: Any = None) -> Reconnect:
        (end,) = self.ends(seconds, result)
        assert isinstance(end, Reconnect)
        return end


@pytest.fixture
def watched(conversation: Conversation) -> Callable[..., Watched]:
    return lambda *wanted: Watched(conversation(*wanted).start())


@pytest.mark.parametrize(
    ("wanted", "channel", "data", "seconds"),
    [
        ((BTC, "ticker"), f"ticker.{BTC}.100ms", a_ticker(1), 10),
        (("btc_usd", "index"), "deribit_price_index.btc_usd", {"timestamp": 1, "price": 1}, 10),
        (
            ("btc_usd", "volatility"),
            "deribit_volatility_index.btc_usd",
            {"timestamp": 1, "volatility": 1},
            60,
        ),
    ],
)
def test_what_never_rests_needs_no_answer(
    watched: Callable[..., Watched], wanted: Any, channel: str, data: Any, seconds: int
) -> None:
    one = watched(wanted)
    one.talk.tell(channel, data)
    assert one.ends(seconds) == []
    end = one.end(2)
    assert end == Reconnect(Reason.CHANNEL_SILENT, f"{channel}: nothing for {seconds} s")
    assert one.ends(1000) == []  # said once


BUSY = [
    (
        (BTC, "trade"),
        f"trades.{BTC}.100ms",
        lambda n: [{"sequence": n}],
        "get_last_trades_by_instrument",
    ),
    ((BTC, "quote"), f"quote.{BTC}", lambda n: a_ticker(1, best_bid_amount=n), "ticker"),
    ((OPTION, "quote"), f"quote.{OPTION}", lambda n: a_ticker(1, best_bid_amount=n), "ticker"),
    ((OPTION, "ticker"), f"ticker.{OPTION}.100ms", lambda n: a_ticker(1, best_bid_amount=n), "ticker"),
    ((BTC, "candle"), f"chart.trades.{BTC}.1", a_bar, "get_tradingview_chart_data"),
    (
        ("btc_usd", "index"),
        "deribit_price_index.btc_usd",
        lambda n: {"timestamp": 1, "price": n},
        "get_index_price",
    ),
]


@pytest.mark.parametrize(
    ("wanted", "channel", "data", "path"), BUSY, ids=lambda one: "shown" if callable(one) else str(one)[:30]
)
@pytest.mark.parametrize("moving", [True, False])
def test_a_busy_channel_that_falls_silent_is_found_in_time_if_the_market_goes_on(
    watched: Callable[..., Watched],
    a_trade: ATrade,
    wanted: Any,
    channel: str,
    data: Any,
    path: str,
    *,
    moving: bool,
) -> None:
    steady = wanted[1] == "index"
    one = watched(wanted, *([("eth_usd", "index")] if steady else []))
    for n in range(1, 41):
        one.talk.tell(channel, [a_trade(n)] if wanted[1] == "trade" else data(n))
        assert one.ends(1) == []
    since = one.talk.now
    n = 41 if moving else 40
    result = {
        "trade": trades(a_trade(n)),
        "candle": {"status": "ok", "ticks": [0, 60_000], "volume": [7, n]},
        "index": {"index_price": n},
    }.get(wanted[1], a_ticker(2, best_bid_amount=n))
    ends = []
    while not ends and one.talk.now < since + 60:
        if steady:
            one.talk.tell("deribit_price_index.eth_usd", {"timestamp": 1, "price": 1})
        ends = one.ends(0.5, result)
    assert one.questions[0].request.path == PATH + path
    assert [end.reason for end in ends] == ([Reason.CHANNEL_SILENT] if moving else [])
    if moving:
        assert one.talk.now - since <= 14


def test_the_question_names_the_instrument(watched: Callable[..., Watched]) -> None:
    one = watched((BTC, "trade"))
    one.ends(6)
    (question,) = one.questions
    assert question.request.query == {"instrument_name": BTC, "count": 1, "sorting": "desc"}
    assert question.request.weight == 500


def test_a_trade_that_was_on_its_way_clears_the_doubt(
    watched: Callable[..., Watched], a_trade: ATrade
) -> None:
    one = watched((BTC, "trade"))
    one.talk.tell(f"trades.{BTC}.100ms", [a_trade(7)])
    assert one.ends(10, trades(a_trade(8))) == []
    assert one.questions
    one.talk.tell(f"trades.{BTC}.100ms", [a_trade(8)])
    assert one.ends(60, trades(a_trade(8))) == []


def test_a_channel_that_never_delivered_is_hung_when_the_market_moves_without_it(
    watched: Callable[..., Watched], a_trade: ATrade
) -> None:
    one = watched((BTC, "trade"))
    since = one.talk.now
    assert one.ends(6, trades(a_trade(8))) == []
    assert not one.talk.session.live
    end = one.end(9, trades(a_trade(9)))
    assert (end.reason, BTC in end.detail) == (Reason.NEVER_DELIVERED, True)
    assert one.talk.now - since <= 15


def test_a_channel_that_never_delivered_is_live_when_a_second_look_shows_no_movement(
    watched: Callable[..., Watched], a_trade: ATrade
) -> None:
    one = watched((BTC, "trade"))
    assert one.ends(6, trades(a_trade(8))) == []
    assert not one.talk.session.live
    assert one.ends(5, trades(a_trade(8))) == []
    assert one.talk.session.live
    assert one.ends(300, trades(a_trade(8))) == []
    assert len(one.questions) <= 10


def test_no_trade_ever_is_quiet(watched: Callable[..., Watched]) -> None:
    one = watched((BTC, "trade"))
    assert one.ends(7, trades()) == []
    assert one.talk.session.live


def test_what_was_traded_while_nobody_listened_is_missing_without_waiting_for_the_next_trade(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade"))
    talk.session.expect({BTC: 5})
    one = Watched(talk.start())
    assert one.ends(60, trades(a_trade(8))) == [Missing(BTC, "trade", 6, 8)]
    assert [trade.sequence for trade in talk.tell(f"trades.{BTC}.100ms", [a_trade(9)])] == [9]


def test_thin_instruments_are_live_when_acknowledged_and_asked_about_rarely(
    watched: Callable[..., Watched], a_trade: ATrade
) -> None:
    one = watched((OPTION, "trade"))
    assert one.talk.session.live
    assert one.ends(599) == []
    assert one.questions == []
    assert one.ends(3, trades(a_trade(8, OPTION))) == []
    assert one.end(10, trades(a_trade(9, OPTION))).reason is Reason.NEVER_DELIVERED


def test_the_silence_of_many_options_costs_a_bounded_share(watched: Callable[..., Watched]) -> None:
    one = watched(*((f"BTC-{n}-C", "ticker") for n in range(300)))
    assert one.ends(62, a_ticker(1)) == []
    assert 30 <= len(one.questions) <= 8 + 62


def test_a_question_about_what_is_no_longer_wanted_does_not_stand_in_the_way(
    watched: Callable[..., Watched],
) -> None:
    one = watched(*((f"BTC-{n}-C", "ticker") for n in range(7)))
    assert one.ends(8) == []
    assert len(one.questions) == 6  # and they stay in the air
    one.talk.session.change(one.talk.wanted[6:], one.talk.now)
    one.ends(2)
    assert len(one.questions) == 7


def test_an_acknowledged_channel_of_an_expired_instrument_does_not_loop(
    watched: Callable[..., Watched],
) -> None:
    one = watched((OPTION, "ticker"))
    assert one.ends(5000, a_ticker(1, state="closed")) == []
    assert len(one.questions) == 1
    assert one.talk.session.live


@pytest.mark.parametrize("sentence", ["13020: not_found", "10020: invalid_or_unsupported_instrument"])
def test_an_instrument_that_rest_does_not_know_is_expected_no_more(
    watched: Callable[..., Watched], sentence: str
) -> None:
    one = watched((OPTION, "ticker"))
    one.ends(6)
    (question,) = one.questions
    code, message = sentence.split(": ")
    if code == "13020":
        assert question.failed is not None
        question.failed(sentence)
    else:
        question.parse(json.dumps({"error": {"code": int(code), "message": message}}).encode())
    assert one.ends(5000) == []
    assert len(one.questions) == 1
    assert one.talk.session.live


def test_an_instrument_state_says_so_too_and_may_take_it_back(watched: Callable[..., Watched]) -> None:
    one = watched((OPTION, "ticker"))
    state = {"timestamp": 1, "instrument_name": OPTION}
    one.talk.tell("instrument.state.any.any", {**state, "state": "delivered"})
    assert one.ends(1000) == []
    assert one.questions == []
    one.talk.tell("instrument.state.any.any", {**state, "state": "open"})
    one.ends(6)
    assert one.questions


def test_states_of_what_is_not_ours_are_not_remembered(conversation: Conversation) -> None:
    talk = conversation((OPTION, "ticker"), ("", "instrument_state")).start()
    for symbol in ("BTC-1-C", "BTC-2-C", OPTION):
        said = {"timestamp": 1, "instrument_name": symbol, "state": "delivered"}
        assert len(talk.tell("instrument.state.any.any", said)) == 1
    assert talk.session._shared.ended == {OPTION}
    talk.session.change(talk.wanted[1:], talk.now)
    assert talk.session._shared.ended == set()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"result":7}', b'{"error":{"code":10040,"message":"retry"}}'])
def test_a_question_that_fails_proves_nothing(watched: Callable[..., Watched], body: bytes) -> None:
    one = watched((OPTION, "ticker"))
    one.ends(6)
    assert list(one.questions[0].parse(body)) == []
    assert one.ends(4) == []
    assert not one.talk.session.live
    one.ends(3)
    assert len(one.questions) == 2


@pytest.mark.parametrize(
    ("ticks", "volumes", "hung"),
    [
        ([60_000], [1.5], False),
        ([60_000, 120_000], [1.5, 0], False),
        ([60_000, 120_000], [1.5, 2], True),
        ([60_000], [1.6], True),
        ([60_000], [1.5000000000001], False),
    ],
)
def test_candles_without_trades_may_or_may_not_be_told(
    watched: Callable[..., Watched], ticks: list[int], volumes: list[float], hung: bool
) -> None:
    one = watched((BTC, "candle"))
    one.talk.tell(f"chart.trades.{BTC}.1", a_bar(1.5))
    ends = one.ends(20, {"status": "ok", "ticks": ticks, "volume": volumes})
    query = one.questions[0].request.query
    assert query["start_timestamp"] < one.talk.market // 1000 <= query["end_timestamp"] + 60_000
    assert [end.reason for end in ends] == ([Reason.CHANNEL_SILENT] if hung else [])


def test_a_mark_price_that_rest_makes_anew_is_no_sign(watched: Callable[..., Watched]) -> None:
    one = watched((OPTION, "ticker"))
    one.talk.tell(f"ticker.{OPTION}.100ms", a_ticker(1))
    for mark in range(2, 40):
        assert one.ends(2, a_ticker(mark)) == []
    assert one.questions


def test_an_index_that_never_delivered_is_asked_about(watched: Callable[..., Watched]) -> None:
    one = watched(("btc_usd", "index"), ("eth_usd", "index"))
    ends = []
    price = 5.5
    while not ends and one.talk.now < 130:
        one.talk.tell("deribit_price_index.eth_usd", {"timestamp": 1, "price": 1})
        ends, price = one.ends(0.5, {"index_price": price}), price + 0.1
    assert one.questions[0].request.query == {"index_name": "btc_usd"}
    assert ends[0].reason is Reason.NEVER_DELIVERED
    assert one.talk.now - 100 <= 15


def test_a_volatility_index_that_does_not_exist_is_quiet(watched: Callable[..., Watched]) -> None:
    one = watched(("sol_usdc", "volatility"))
    assert one.ends(500) == []
    assert one.talk.session.live


def test_silence_after_a_notice_of_maintenance_is_maintenance(watched: Callable[..., Watched]) -> None:
    one = watched((BTC, "ticker"), ("", "platform"))
    one.talk.tell(f"ticker.{BTC}.100ms", a_ticker(1))
    one.talk.tell("platform_state", {"maintenance": True})
    assert one.end(15).reason is Reason.MAINTENANCE


def test_a_busy_channel_is_never_asked_about(watched: Callable[..., Watched], a_trade: ATrade) -> None:
    one = watched((BTC, "trade"), (BTC, "ticker"))
    for n in range(80):
        one.talk.tell(f"trades.{BTC}.100ms", [a_trade(n)])
        one.talk.tell(f"ticker.{BTC}.100ms", a_ticker(n))
        assert one.ends(3.5) == []
    assert one.questions == []
    assert one.talk.session.live
