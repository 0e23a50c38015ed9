from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from trade_platform.domain.model import Channel, ExchangeState, ExchangeStatus, InstrumentState
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import Missing, ProtocolViolation, Reason, Reconnect, Send

BTC = "BTC-PERPETUAL"
TRADES, TICKER = f"trades.{BTC}.100ms", f"ticker.{BTC}.100ms"
Conversation = Callable[..., Any]
CallsOf = Callable[..., list[dict[str, Any]]]


def test_heartbeats_are_asked_for_first_then_channels(conversation: Conversation, calls_of: CallsOf) -> None:
    talk = conversation((BTC, "trade"), (BTC, "ticker"), ("btc_usd", "index"))
    heartbeat, subscribe = calls_of(talk.open())
    assert (heartbeat["method"], heartbeat["params"]) == ("public/set_heartbeat", {"interval": 10})
    assert subscribe["method"] == "public/subscribe"
    assert subscribe["params"] == {"channels": [TRADES, TICKER, "deribit_price_index.btc_usd"]}
    assert heartbeat["id"] != subscribe["id"]


def test_a_test_request_is_answered_at_once_and_a_heartbeat_needs_nothing(
    conversation: Conversation, calls_of: CallsOf
) -> None:
    talk = conversation((BTC, "trade")).start()
    asked = talk.say(method="heartbeat", params={"type": "test_request"})
    assert [call["method"] for call in calls_of(asked)] == ["public/test"]
    answer = {"version": "1.2.26"}
    assert not talk.say(id=calls_of(asked)[0]["id"], result=answer, testnet=False)
    assert not talk.say(method="heartbeat", params={"type": "heartbeat"})
    assert talk.session.ignored == {}


def test_heartbeats_that_are_refused_are_asked_for_again(
    conversation: Conversation, calls_of: CallsOf
) -> None:
    talk = conversation((BTC, "trade"))
    first = calls_of(talk.open())[0]
    talk.say(id=first["id"], error={"code": 10040, "message": "retry"})
    assert "public/set_heartbeat" not in [call["method"] for call in calls_of(talk.after(4.9))]
    assert calls_of(talk.after(0.2)) == [first]
    assert calls_of(talk.after(0.2)) == []


def test_acknowledgement_is_compared_with_the_request_whatever_its_order(
    conversation: Conversation,
) -> None:
    talk = conversation((BTC, "trade"), (BTC, "ticker"), (BTC, "candle"))
    talk.acknowledge(talk.open())  # answers in reverse order
    assert all(one.acknowledged for one in talk.session.subscriptions.values())
    assert not talk.session.refused


def test_live_only_with_the_first_data_of_every_channel(
    conversation: Conversation, a_trade: Callable[..., Any]
) -> None:
    talk = conversation((BTC, "trade"), ("btc_usd", "index"), ("", "platform")).start()
    assert not talk.session.live
    talk.tell(TRADES, [a_trade(1)])
    assert not talk.session.live
    talk.tell("deribit_price_index.btc_usd", {"timestamp": 1, "price": 2.5, "index_name": "btc_usd"})
    assert talk.session.live  # nothing is demanded of the platform's own channel


def test_what_is_left_out_is_asked_once_more_then_rarely(
    conversation: Conversation, calls_of: CallsOf
) -> None:
    talk = conversation(("", "platform"), ("BTC-1JAN20", "trade"))
    gone = "trades.BTC-1JAN20.100ms"
    talk.acknowledge(talk.open(), gone)
    assert not talk.session.refused
    assert calls_of(talk.after(0.2)) == []
    assert calls_of(talk.after(0.5)) == []
    again = talk.acknowledge(talk.after(0.7), gone)
    assert [call["params"]["channels"] for call in again] == [[gone]]
    assert talk.session.refused == {gone}
    assert not talk.session.subscriptions[gone].acknowledged
    assert talk.idle(595, step=5.0) == []  # no more calls, no reconnect, whatever time passes
    assert [call["params"]["channels"] for call in talk.acknowledge(talk.idle(10))] == [[gone]]
    assert not talk.session.refused  # it was accepted at last


def test_a_refused_channel_does_not_keep_the_others_from_being_live(
    conversation: Conversation, a_trade: Callable[..., Any]
) -> None:
    talk = conversation((BTC, "trade"), ("BTC-1JAN20", "ticker"))
    gone = "ticker.BTC-1JAN20.100ms"
    talk.acknowledge(talk.open(), gone)
    talk.acknowledge(talk.after(0.1), gone)
    talk.acknowledge(talk.after(1.5), gone)
    talk.tell(TRADES, [a_trade(1)])
    assert talk.session.refused == {gone}
    assert talk.session.live


@pytest.mark.parametrize("code", [-32602, 11050, 13778, 10020])
def test_one_bad_channel_is_found_by_halving_the_call(
    conversation: Conversation, calls_of: CallsOf, code: int
) -> None:
    symbols = [f"BTC-{day}JAN27" for day in range(1, 9)]
    talk = conversation(*((symbol, "trade") for symbol in symbols))
    bad = "trades.BTC-5JAN27.100ms"
    made = calls_of(talk.open())
    count = 0
    while made := [call for call in made if call["method"] == "public/subscribe"]:
        for call in made:
            count += 1
            if bad in call["params"]["channels"]:
                talk.say(id=call["id"], error={"code": code, "message": "bad"})
            else:
                talk.say(id=call["id"], result=call["params"]["channels"])
        made = calls_of(talk.after(0.5)) or calls_of(talk.after(0.5))
    assert talk.session.refused == {bad}
    assert sum(one.acknowledged for one in talk.session.subscriptions.values()) == 7
    assert count == 7


@pytest.mark.parametrize("code", [10041, 10040, 13028, 10066, 11056])
def test_a_passing_refusal_is_tried_again_whole(
    conversation: Conversation, calls_of: CallsOf, code: int
) -> None:
    talk = conversation((BTC, "trade"), (BTC, "ticker"))
    (call,) = calls_of(talk.open())[1:]
    said = talk.say(id=call["id"], error={"code": code, "message": "later"})
    assert [one.scope for one in said] == (["public_requests"] if code == 11056 else [])
    talk.after(0.1)
    assert calls_of(talk.after(4.5)) == []
    (again,) = calls_of(talk.after(1))
    assert again["params"] == call["params"]
    assert not talk.say(id=again["id"], error={"code": code, "message": "later"})  # said once
    assert talk.session.ignored == {f"error.{code}": 2}


def test_an_answer_that_never_comes_ends_the_connection(conversation: Conversation) -> None:
    talk = conversation((BTC, "trade"))
    talk.open()
    assert not [one for one in talk.idle(10) if isinstance(one, Reconnect)]
    (end,) = talk.idle(2)
    assert end.reason is Reason.NEVER_DELIVERED


def test_no_answer_is_due_to_a_call_that_waits_for_the_hosts_limit(conversation: Conversation) -> None:
    talk = conversation((BTC, "trade"))
    (said,) = [one for one in talk.open() if isinstance(one, Send) and one.limit]
    assert said.turn is not None
    said.turn.waiting = True
    assert not [one for one in talk.idle(60) if isinstance(one, Reconnect)]
    said.turn.waiting = False
    assert not [one for one in talk.idle(9) if isinstance(one, Reconnect)]
    assert [one.reason for one in talk.idle(3) if isinstance(one, Reconnect)] == [Reason.NEVER_DELIVERED]


def test_calls_are_paced_and_sized(conversation: Conversation, calls_of: CallsOf) -> None:
    wanted = [(f"BTC-{n}-C", "trade") for n in range(450)]
    talk = conversation(*wanted)
    outputs = list(talk.open())
    times = [(talk.now, call) for call in calls_of(outputs) if call["method"] == "public/subscribe"]
    for _ in range(40):
        made = talk.after(0.05)
        outputs += made
        times += [(talk.now, call) for call in calls_of(made)]
    assert [len(call["params"]["channels"]) for _, call in times] == [200, 200, 50]
    assert all(later[0] - earlier[0] > 1 / 3 for earlier, later in pairwise(times))
    assert all(len(output.text) < 32_000 / 2 + 1000 for output in outputs)
    asked = [name for _, call in times for name in call["params"]["channels"]]
    assert asked == [f"trades.{symbol}.100ms" for symbol, _ in wanted]


def test_long_names_make_smaller_calls(conversation: Conversation, calls_of: CallsOf) -> None:
    talk = conversation(*((f"X{n}{'Y' * 150}", "trade") for n in range(200)))
    subscribe = calls_of(talk.open())[1]
    assert len(json.dumps(subscribe)) < 17_500


def test_no_frame_of_any_kind_for_two_heartbeats(conversation: Conversation) -> None:
    talk = conversation(("", "instrument_state")).start()
    talk.after(5)
    talk.heartbeat()
    talk.after(0)
    assert not talk.after(19.9)
    (end,) = talk.after(0.3)
    assert end.reason is Reason.SESSION_SILENT
    assert talk.after(100) == ()  # said once


def test_heartbeats_alone_keep_the_session_but_are_not_data(conversation: Conversation) -> None:
    talk = conversation(("", "instrument_state")).start()
    assert talk.idle(3600, step=9) == []


@pytest.mark.parametrize(
    ("error", "reason", "states"),
    [
        ({"code": 10028, "message": "too_many_requests", "data": None}, Reason.RATE_LIMITED, []),
        ({"code": 11051, "message": "system_maintenance"}, Reason.MAINTENANCE, [ExchangeStatus.MAINTENANCE]),
        ({"code": 11052, "message": "subscribe_error_unsubscribed"}, Reason.SUBSCRIBE_REFUSED, []),
    ],
)
@pytest.mark.parametrize("number", [None, 10, 77])
def test_errors_that_end_the_connection(
    conversation: Conversation,
    error: dict[str, Any],
    reason: Reason,
    states: list[ExchangeStatus],
    number: int | None,
) -> None:
    talk = conversation((BTC, "trade"))
    talk.open()
    *before, end = talk.say(id=number, error=error)
    assert [one.status for one in before] == states
    assert end.reason is reason
    assert (end.after_seconds > 0) == (reason is not Reason.SUBSCRIBE_REFUSED)
    assert talk.after(60) == ()


def test_an_unknown_error_is_counted(conversation: Conversation) -> None:
    talk = conversation((BTC, "trade")).start()
    assert talk.say(id=4711, error={"code": 99999, "message": "new", "data": {"any": 1}}) == ()
    assert talk.session.ignored == {"error.99999": 1}


@pytest.mark.parametrize(("expected", "answers", "ends"), [(False, True, True), (True, False, True)])
def test_the_other_network_is_not_recorded(
    conversation: Conversation, expected: bool, answers: bool, ends: bool
) -> None:
    talk = conversation((BTC, "trade"), testnet=expected)
    talk.open()
    (end,) = talk.say(id=9, result="ok", testnet=answers)
    assert end.reason is Reason.PROTOCOL
    assert "network" in end.detail
    indifferent = conversation((BTC, "trade"), testnet=None)
    indifferent.open()
    assert indifferent.say(id=9, result="ok", testnet=answers) == ()


def test_change_subscribes_what_is_new_and_unsubscribes_what_is_gone(
    conversation: Conversation, calls_of: CallsOf
) -> None:
    talk = conversation((BTC, "trade"), (BTC, "ticker")).start()
    talk.now += 1
    wanted = [Wanted(BTC, Channel.TRADE), Wanted("ETH-PERPETUAL", Channel.TRADE)]
    outputs = [*talk.session.change(wanted, talk.now), *talk.after(0.5)]
    assert [(call["method"], call["params"]["channels"]) for call in calls_of(outputs)] == [
        ("public/unsubscribe", [TICKER]),
        ("public/subscribe", ["trades.ETH-PERPETUAL.100ms"]),
    ]
    assert list(talk.session.subscriptions) == [TRADES, "trades.ETH-PERPETUAL.100ms"]
    assert talk.tell(TICKER, {"timestamp": 1, "best_bid_price": 5})  # the last on its way is still a record
    assert list(talk.session.subscriptions) == [TRADES, "trades.ETH-PERPETUAL.100ms"]


def test_what_passes_while_a_symbol_is_not_selected_is_not_missing(
    conversation: Conversation, a_trade: Callable[..., dict[str, Any]]
) -> None:
    talk = conversation((BTC, "trade"), (BTC, "quote")).start()
    talk.tell(TRADES, [a_trade(10)])
    talk.session.change([Wanted(BTC, Channel.QUOTE)], talk.now)
    talk.acknowledge(talk.after(0.5))
    outputs = [*talk.session.change([Wanted(BTC, Channel.TRADE), Wanted(BTC, Channel.QUOTE)], talk.now)]
    talk.acknowledge([*outputs, *talk.after(0.5)])
    assert not [one for one in talk.tell(TRADES, [a_trade(5000)]) if isinstance(one, Missing)]


def test_a_late_trade_of_a_symbol_that_was_left_does_not_begin_its_count(
    conversation: Conversation, a_trade: Callable[..., dict[str, Any]]
) -> None:
    talk = conversation((BTC, "trade"), (BTC, "quote"), ("ETH-PERPETUAL", "quote")).start()
    talk.tell(TRADES, [a_trade(10)])
    rest = [Wanted("ETH-PERPETUAL", Channel.QUOTE)]
    talk.acknowledge([*talk.session.change(rest, talk.now), *talk.after(0.5)])
    assert talk.tell(TRADES, [a_trade(11)])  # it was on its way
    outputs = talk.session.change([Wanted(BTC, Channel.TRADE), *rest], talk.now)
    talk.acknowledge([*outputs, *talk.after(0.5)])
    assert not [one for one in talk.tell(TRADES, [a_trade(5000)]) if isinstance(one, Missing)]


def test_change_forgets_what_was_not_even_asked_for(conversation: Conversation, calls_of: CallsOf) -> None:
    talk = conversation((BTC, "trade"))
    made = calls_of(talk.open())
    talk.session.change([Wanted(BTC, Channel.TRADE), Wanted(BTC, Channel.QUOTE)], talk.now)
    talk.session.change([Wanted(BTC, Channel.TRADE)], talk.now)
    assert calls_of(talk.after(1)) == []
    outputs = talk.session.change([], talk.now)
    talk.say(id=made[1]["id"], result=[])  # what is no longer wanted is not asked for again
    outputs = [*outputs, *talk.after(1), *talk.after(5)]
    assert [call["method"] for call in calls_of(outputs)] == ["public/unsubscribe"]
    assert talk.session.subscriptions == {}


@pytest.mark.parametrize("code", [10041, -32602])
def test_a_call_that_fails_is_not_repeated_for_what_is_no_longer_wanted(
    conversation: Conversation, calls_of: CallsOf, code: int
) -> None:
    talk = conversation((BTC, "trade"), (BTC, "ticker"))
    made = calls_of(talk.open())
    talk.session.change([Wanted(BTC, Channel.TRADE)], talk.now)
    talk.say(id=made[1]["id"], error={"code": code, "message": "no"})
    outputs = [one for _ in range(20) for one in talk.after(0.5)]
    asked = [call["params"]["channels"] for call in calls_of(outputs) if call["method"] == "public/subscribe"]
    assert asked == [[TRADES]]


def test_a_held_quote_of_an_unsubscribed_channel_is_dropped(conversation: Conversation) -> None:
    talk = conversation((BTC, "quote"), ("", "platform"), quote_interval=1_000_000).start()
    talk.tell(f"quote.{BTC}", {"timestamp": 1, "best_bid_price": 5})
    talk.session.change([Wanted("", Channel.PLATFORM)], talk.now)
    assert list(talk.after(0.1)) == []
    assert list(talk.after(5)) == []


@pytest.mark.parametrize(
    ("channel", "data", "expected"),
    [
        ("platform_state", {"maintenance": True}, [("maintenance", "")]),
        ("platform_state", {"maintenance": False}, [("open", "")]),
        ("platform_state", {"price_index": "sol_usdc", "locked": True}, [("partial", "sol_usdc")]),
        ("platform_state", {"price_index": "sol_usdc", "locked": False}, [("open", "sol_usdc")]),
        ("platform_state", {"locked": "true"}, [("locked", "")]),
        ("platform_state", {"locked": "partial", "locked_indices": ["a", "b"]}, [("partial", "a,b")]),
        ("platform_state", {"locked": False, "locked_currencies": ["BTC"]}, [("partial", "BTC")]),
        ("platform_state", {"maintenance": True, "locked": True}, [("maintenance", ""), ("locked", "")]),
        (
            "platform_state.public_methods_state",
            {"allow_unauthenticated_public_requests": False},
            [("partial", "public_requests")],
        ),
        (
            "platform_state.public_methods_state",
            {"allow_unauthenticated_public_requests": True},
            [("open", "public_requests")],
        ),
    ],
)
def test_what_the_platform_says_of_itself(
    conversation: Conversation, channel: str, data: Any, expected: list[tuple[str, str]]
) -> None:
    talk = conversation(("", "platform")).start()
    states = talk.tell(channel, data)
    assert all(isinstance(one, ExchangeState) and one.event_time == talk.market for one in states)
    assert [(one.status, one.scope) for one in states] == expected
    assert {one.reason for one in states} == {channel}


def test_an_unknown_platform_message_is_counted_and_tolerated(conversation: Conversation) -> None:
    talk = conversation(("", "platform")).start()
    assert list(talk.tell("platform_state", {"weather": "fine"})) == []
    assert talk.session.ignored == {"platform_state": 1, "platform_state.weather": 1}


def test_instrument_states(conversation: Conversation, calls_of: CallsOf) -> None:
    talk = conversation(("", "instrument_state"))
    assert calls_of(talk.open())[1]["params"]["channels"] == ["instrument.state.any.any"]
    said = {"timestamp": 1700000000001, "state": "open", "instrument_name": "BTC-27DEC24"}
    assert talk.tell("instrument.state.any.any", said) == (
        InstrumentState("BTC-27DEC24", "open", 1700000000001000, talk.market),
    )


def test_unknown_messages_and_fields_are_counted_and_bounded(
    conversation: Conversation, a_trade: Callable[..., Any]
) -> None:
    talk = conversation((BTC, "trade"))
    talk.say(method="weather", params={"type": "rain"})
    talk.tell("book.BTC-PERPETUAL.100ms", {"any": "thing"})
    talk.tell("user.orders.any.any.raw", {})
    talk.tell("chart.trades.BTC-PERPETUAL.7", {"a resolution": "that is not known"})
    talk.tell(TRADES, [a_trade(1, colour="red")])
    talk.tell(TRADES, [a_trade(2, shape="round")])  # fields are looked at in a sample
    assert talk.session.ignored == {
        "weather": 1,
        "book": 1,
        "user.orders": 1,
        "chart.trades": 1,
        "trades.colour": 1,
    }
    for n in range(3, 1001):
        talk.tell(TRADES, [a_trade(n)])
    talk.tell(TRADES, [a_trade(1001, weight=1)])
    assert talk.session.ignored["trades.weight"] == 1
    for n in range(300):
        talk.tell(f"kind{n}.x", {})
    assert len(talk.session.ignored) == 200
    assert talk.session.ignored["other"] > 50
    assert talk.session.ignored["book"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"method":"subscription","params":[]}',
        '{"method":"subscription","params":{"channel":"trades.X.100ms"}}',
        '{"method":"subscription","params":{"channel":"trades.X.100ms","data":{}}}',
        '{"method":"subscription","params":{"channel":"trades.X.100ms","data":[{"trade_seq":1}]}}',
        '{"method":"subscription","params":{"channel":"quote.X","data":{"timestamp":-1}}}',
        '{"method":"subscription","params":{"channel":"quote.X","data":{"timestamp":1,"best_bid_price":{}}}}',
        '{"id":10,"error":"no"}',
        b"\xff\xfe",
        '"\ud800"',
        '{"result":' + "[" * 100_000,
        '{"method":"subscription","params":{"channel":"trades.X.100ms","data":' + "[" * 100_000,
    ],
)
def test_what_cannot_be_a_message_raises_one_typed_error(conversation: Conversation, text: str) -> None:
    talk = conversation((BTC, "trade"))
    talk.open()
    with pytest.raises(ProtocolViolation):
        talk.session.receive(text, 1)


def test_a_price_that_is_no_number_is_no_trade(
    conversation: Conversation, a_trade: Callable[..., Any]
) -> None:
    talk = conversation((BTC, "trade")).start()
    for price in ("NaN", "1E+999999", "1." + "3" * 20_000):
        with pytest.raises(ProtocolViolation):
            talk.tell(TRADES, [a_trade(1, price=price)])
