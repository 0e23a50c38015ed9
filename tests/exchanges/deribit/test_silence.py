"""Which silence ends a connection and which does not; every time is given, none is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trade_platform.exchanges.session import Missing, Reason, Reconnect, Rest

BTC, OPTION = "BTC-PERPETUAL", "BTC-27DEC26-60000-C"
Conversation = Callable[..., Any]
ATrade = Callable[..., dict[str, Any]]


def the_question(outputs: Any) -> Rest:
    """The one REST request among the outputs."""
    (question,) = [one for one in outputs if isinstance(one, Rest)]
    assert not [one for one in outputs if isinstance(one, Reconnect)]
    return question


def answer(question: Rest, result: Any) -> None:
    assert list(question.parse(json.dumps({"jsonrpc": "2.0", "result": result}).encode())) == []


def trades(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"trades": listed, "has_more": False}


def a_ticker(mark: float, **fields: Any) -> dict[str, Any]:
    return {"timestamp": 5, "state": "open", "mark_price": mark, "best_bid_price": 1.5, **fields}


def the_end(outputs: Any) -> Reconnect:
    (end,) = outputs
    assert isinstance(end, Reconnect)
    return end


@pytest.mark.parametrize(
    ("wanted", "channel", "data", "seconds"),
    [
        ((BTC, "ticker"), f"ticker.{BTC}.100ms", a_ticker(1), 12),
        (("btc_usd", "index"), "deribit_price_index.btc_usd", {"timestamp": 1, "price": 1}, 12),
        (
            ("btc_usd", "volatility"),
            "deribit_volatility_index.btc_usd",
            {"timestamp": 1, "volatility": 1},
            60,
        ),
    ],
)
def test_what_never_rests_needs_no_question(
    conversation: Conversation, wanted: Any, channel: str, data: Any, seconds: int
) -> None:
    talk = conversation(wanted).start()
    talk.tell(channel, data)
    talk.after(0.1)
    assert talk.idle(seconds) == []
    end = the_end(talk.idle(2))
    assert (end.reason, channel in end.detail) == (Reason.CHANNEL_SILENT, True)
    assert talk.idle(1000, step=10) == []  # said once


def test_a_thin_market_is_asked_about_and_excused(conversation: Conversation, a_trade: ATrade) -> None:
    talk = conversation((BTC, "trade")).start()
    talk.tell(f"trades.{BTC}.100ms", [a_trade(7)])
    talk.after(0.1)
    assert talk.idle(60) == []
    question = the_question(talk.idle(2))
    assert question.request.path == "/api/v2/public/get_last_trades_by_instrument"
    assert question.request.query == {"instrument_name": BTC, "count": 1, "sorting": "desc"}
    answer(question, trades(a_trade(7)))
    assert talk.idle(60) == []
    the_question(talk.idle(3))  # and again after another deadline


def test_a_trade_that_rest_shows_and_the_channel_does_not_tell_ends_the_connection(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade")).start()
    talk.tell(f"trades.{BTC}.100ms", [a_trade(7)])
    answer(the_question(talk.idle(63)), trades(a_trade(8)))
    assert talk.idle(4) == []  # it may be on its way
    assert the_end(talk.idle(3)).reason is Reason.CHANNEL_SILENT


def test_a_trade_that_was_on_its_way_clears_the_doubt(conversation: Conversation, a_trade: ATrade) -> None:
    talk = conversation((BTC, "trade")).start()
    talk.tell(f"trades.{BTC}.100ms", [a_trade(7)])
    answer(the_question(talk.idle(63)), trades(a_trade(8)))
    talk.idle(2)
    talk.tell(f"trades.{BTC}.100ms", [a_trade(8)])
    assert talk.idle(60) == []


def test_a_channel_that_never_delivered_is_hung_when_the_market_moves_without_it(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade")).start()
    answer(the_question(talk.idle(63)), trades(a_trade(8)))
    assert not talk.session.live
    answer(the_question(talk.idle(7)), trades(a_trade(9)))  # asked again soon
    end = the_end(talk.idle(7))
    assert (end.reason, BTC in end.detail) == (Reason.NEVER_DELIVERED, True)


def test_a_channel_that_never_delivered_is_live_when_a_second_look_shows_no_movement(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade")).start()
    answer(the_question(talk.idle(63)), trades(a_trade(8)))
    answer(the_question(talk.idle(7)), trades(a_trade(8)))
    talk.idle(1)
    assert talk.session.live


def test_no_trade_ever_is_quiet(conversation: Conversation) -> None:
    talk = conversation((BTC, "trade")).start()
    answer(the_question(talk.idle(63)), trades())
    talk.idle(1)
    assert talk.session.live


def test_what_was_traded_while_nobody_listened_is_missing_without_waiting_for_the_next_trade(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((BTC, "trade"))
    talk.session.expect({BTC: 5})
    talk.start()
    answer(the_question(talk.idle(63)), trades(a_trade(8)))
    assert [one for one in talk.idle(2) if isinstance(one, Missing)] == [Missing(BTC, "trade", 6, 8)]
    answer(the_question(talk.idle(7)), trades(a_trade(8)))
    assert talk.idle(50) == []  # it was no sign of a hung channel
    assert [one.sequence for one in talk.tell(f"trades.{BTC}.100ms", [a_trade(9)])] == [9]


def test_thin_instruments_are_live_when_acknowledged_and_asked_about_rarely(
    conversation: Conversation, a_trade: ATrade
) -> None:
    talk = conversation((OPTION, "trade")).start()
    assert talk.session.live
    assert talk.session.subscriptions[f"trades.{OPTION}.100ms"].deadline_seconds is None
    assert talk.idle(599) == []
    answer(the_question(talk.idle(3)), trades(a_trade(8, OPTION)))
    answer(the_question(talk.idle(8)), trades(a_trade(9, OPTION)))
    assert the_end(talk.idle(8)).reason is Reason.NEVER_DELIVERED


def test_many_silent_options_are_asked_about_one_at_a_time(conversation: Conversation) -> None:
    talk = conversation(*((f"BTC-{n}-C", "trade") for n in range(50))).start()
    talk.heartbeat()
    talk.after(1)
    questions = []
    for _ in range(120):
        talk.heartbeat()
        outputs = [one for one in talk.after(15 if not questions else 0.25) if isinstance(one, Rest)]
        assert len(outputs) <= 1
        questions += outputs
    assert len(questions) == 3  # not more are in the air at once
    for question in questions:
        answer(question, trades())
    talk.heartbeat()
    talk.after(0.25)
    assert isinstance(talk.after(0.25)[0], Rest)


def test_a_question_about_what_is_no_longer_wanted_does_not_stand_in_the_way(
    conversation: Conversation,
) -> None:
    wanted = [(f"BTC-{n}-C", "ticker") for n in range(4)]
    talk = conversation(*wanted).start()
    talk.heartbeat()
    talk.after(1)
    assert talk.idle(58, step=0.5) == []
    questions = [one for _ in range(12) for one in talk.after(0.25) if isinstance(one, Rest)]
    assert len(questions) == 3  # and they stay in the air
    talk.session.change(talk.wanted[3:], talk.now)
    the_question(talk.idle(2))


@pytest.mark.parametrize("channel", ["ticker", "quote"])
def test_a_quiet_book_is_told_from_a_hung_channel(conversation: Conversation, channel: str) -> None:
    name = {"ticker": f"ticker.{OPTION}.100ms", "quote": f"quote.{OPTION}"}[channel]
    seconds = {"ticker": 60, "quote": 600}[channel]
    talk = conversation((OPTION, channel)).start()
    talk.tell(name, a_ticker(1, last_price=3))
    talk.after(0.1)
    assert talk.idle(seconds) == []
    question = the_question(talk.idle(2))
    assert (question.request.path, question.request.query) == (
        "/api/v2/public/ticker",
        {"instrument_name": OPTION},
    )
    answer(question, a_ticker(1, last_price=3))
    assert talk.idle(seconds) == []
    answer(the_question(talk.idle(3)), a_ticker(1, last_price=3, best_bid_price=1.25))
    assert the_end(talk.idle(8)).reason is Reason.CHANNEL_SILENT


def test_an_acknowledged_channel_of_an_expired_instrument_does_not_loop(conversation: Conversation) -> None:
    talk = conversation((OPTION, "ticker")).start()
    answer(the_question(talk.idle(63)), a_ticker(1, state="closed"))
    assert talk.idle(10_000, step=9) == []
    assert talk.session.live


@pytest.mark.parametrize("sentence", ["13020: not_found", "10020: invalid_or_unsupported_instrument"])
def test_an_instrument_that_rest_does_not_know_is_expected_no_more(
    conversation: Conversation, sentence: str
) -> None:
    talk = conversation((OPTION, "ticker")).start()
    question = the_question(talk.idle(63))
    code, message = sentence.split(": ")
    if code == "13020":
        assert question.failed is not None
        question.failed(sentence)
    else:
        question.parse(json.dumps({"error": {"code": int(code), "message": message}}).encode())
    assert talk.idle(10_000, step=9) == []
    assert talk.session.live


def test_an_instrument_state_says_so_too_and_may_take_it_back(conversation: Conversation) -> None:
    talk = conversation((OPTION, "ticker")).start()
    state = {"timestamp": 1, "instrument_name": OPTION}
    talk.tell("instrument.state.any.any", {**state, "state": "delivered"})
    assert talk.idle(1000, step=9) == []
    talk.tell("instrument.state.any.any", {**state, "state": "open"})
    the_question(talk.idle(63))


def test_states_of_what_is_not_ours_are_not_remembered(conversation: Conversation) -> None:
    talk = conversation((OPTION, "ticker"), ("", "instrument_state")).start()
    for symbol in ("BTC-1-C", "BTC-2-C", OPTION):
        said = {"timestamp": 1, "instrument_name": symbol, "state": "delivered"}
        assert len(talk.tell("instrument.state.any.any", said)) == 1
    assert talk.session._shared.ended == {OPTION}
    talk.session.change(talk.wanted[1:], talk.now)
    assert talk.session._shared.ended == set()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"result":7}', b'{"error":{"code":10040,"message":"retry"}}'])
def test_a_question_that_fails_proves_nothing(conversation: Conversation, body: bytes) -> None:
    talk = conversation((OPTION, "ticker")).start()
    assert list(the_question(talk.idle(63)).parse(body)) == []
    assert talk.idle(59) == []
    assert not talk.session.live
    the_question(talk.idle(5))


def test_a_question_that_is_never_answered_is_asked_again(conversation: Conversation) -> None:
    talk = conversation((OPTION, "ticker")).start()
    the_question(talk.idle(63))
    assert not [one for one in talk.idle(80) if isinstance(one, Reconnect)]
    the_question(talk.idle(15))


@pytest.mark.parametrize(
    ("ticks", "volumes", "hung"),
    [([60_000], [1.5], False), ([60_000, 120_000], [1.5, 0], False), ([60_000, 120_000], [1.5, 2], True)],
)
def test_candles_without_trades_may_or_may_not_be_told(
    conversation: Conversation, ticks: list[int], volumes: list[float], hung: bool
) -> None:
    talk = conversation((BTC, "candle")).start()
    bar = {"tick": 60_000, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1.5, "cost": 1}
    talk.tell(f"chart.trades.{BTC}.1", bar)
    question = the_question(talk.idle(153))
    end = question.request.query["end_timestamp"]
    assert question.request.query["start_timestamp"] < talk.market // 1000 <= end
    answer(question, {"status": "ok", "ticks": ticks, "volume": volumes})
    outputs = talk.idle(10)
    assert [one.reason for one in outputs] == ([Reason.CHANNEL_SILENT] if hung else [])


def test_an_index_that_never_delivered_is_asked_about(conversation: Conversation) -> None:
    talk = conversation(("btc_usd", "index")).start()
    question = the_question(talk.idle(17))
    assert question.request.query == {"index_name": "btc_usd"}
    answer(question, {"index_price": 5.5})
    answer(the_question(talk.idle(7)), {"index_price": 5.6})
    assert the_end(talk.idle(7)).reason is Reason.NEVER_DELIVERED


def test_a_volatility_index_that_does_not_exist_is_quiet(conversation: Conversation) -> None:
    talk = conversation(("sol_usdc", "volatility")).start()
    assert talk.idle(500) == []
    assert talk.session.live


def test_silence_after_a_notice_of_maintenance_is_maintenance(conversation: Conversation) -> None:
    talk = conversation((BTC, "ticker"), ("", "platform")).start()
    talk.tell(f"ticker.{BTC}.100ms", a_ticker(1))
    talk.tell("platform_state", {"maintenance": True})
    assert the_end(talk.idle(17)).reason is Reason.MAINTENANCE


def test_a_busy_channel_is_never_asked_about(conversation: Conversation, a_trade: ATrade) -> None:
    talk = conversation((BTC, "trade"), (BTC, "ticker")).start()
    for n in range(40):
        talk.tell(f"trades.{BTC}.100ms", [a_trade(n)])
        talk.tell(f"ticker.{BTC}.100ms", a_ticker(n))
        assert talk.after(10) == []
    assert talk.session.live
