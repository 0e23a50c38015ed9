"""What is unheard, refused or half understood on a connection, and how handshakes are answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamers.simulator.door import ATTEMPTS, Garbage, Refusal, Welcome
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Abort, Close, Ping, Say
from tests.streamers.simulator.conftest import URLS, Wire, ledger_entries

EVERY = sorted(URLS)


def strike(one: Wire, now: float = 0.0, **fields: Any) -> None:
    one.exchange.faults.add(Fault(**fields))
    step(one, now)


def step(one: Wire, now: float) -> None:
    one.run(one.exchange.source.now + 1_000_000, now=now)


def effect(one: Wire, name: str) -> int:
    return int(one.exchange.state()["faults"][name])


@pytest.mark.parametrize("key", EVERY)
def test_handshakes_are_refused_as_told(wire: Any, key: str) -> None:
    one = wire(key)
    strike(one, fault="refuse", seconds=10, status=429, retry_after=7)
    refusal = one.exchange.knock(URLS[key], 1.0)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.headers) == (429, {"Retry-After": "7"})
    strike(one, 1.0, fault="tls_error", seconds=2)
    assert isinstance(one.exchange.knock(URLS[key], 2.0), Garbage)
    assert isinstance(one.exchange.knock(URLS[key], 11.0), Welcome)
    told = one.exchange.state(11.0)["connections"]
    assert (told["accepted"], told["refused"], told["refusals"]) == (2, 2, [1.0, 2.0])
    assert (effect(one, "refuse"), effect(one, "tls_error")) == (1, 1)


@pytest.mark.parametrize("key", EVERY)
def test_accepted_and_closed_at_once(wire: Any, key: str) -> None:
    one = wire(key)
    strike(one, fault="accept_close", seconds=10)
    welcome = one.exchange.knock(URLS[key], 1.0)
    assert isinstance(welcome, Welcome)
    assert welcome.farewell == Close(1000, "fault")
    assert (
        one.exchange.reception.hear(welcome.conversation, '{"method":"LIST_SUBSCRIPTIONS","id":1}', 1.0) == []
    )
    after = one.exchange.knock(URLS[key], 11.0)
    assert isinstance(after, Welcome)
    assert after.farewell is None
    assert effect(one, "accept_close") == 1
    assert one.exchange.state(60.0)["connections"]["times"] == [0.0, 1.0, 11.0]


@pytest.mark.parametrize("key", ["binance_spot", "binance_usdm"])
def test_binance_takes_300_handshakes_in_five_minutes(wire: Any, key: str) -> None:
    one = wire(key)
    answers = [one.exchange.knock(URLS[key], float(place) / 10) for place in range(ATTEMPTS + 3)]
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert [answer.status for answer in refused] == [429] * 4, "the fixture's own handshake was the first"
    assert one.exchange.state()["connections"]["exceeded"] == 4
    assert isinstance(one.exchange.knock(URLS[key], 301.0), Welcome)


def test_deribit_takes_32_connections(wire: Any) -> None:
    one = wire("deribit")
    more = [Wire(one.exchange, URLS["deribit"]) for _ in range(31)]
    refusal = one.exchange.knock(URLS["deribit"], 1.0)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 429
    one.exchange.hub.leave(more[0].conversation)
    assert isinstance(one.exchange.knock(URLS["deribit"], 1.0), Welcome)


def test_broken_limits_are_counted(wire: Any) -> None:
    spot = wire("binance_spot")
    for place in range(6):
        spot.say({"method": "LIST_SUBSCRIPTIONS", "id": place}, now=1.0)
    assert spot.instructions == [Close(1008, "Too many requests")]
    assert spot.exchange.state()["messages_exceeded"] == 1
    path = "/api/v3/ticker/24hr"
    statuses = [spot.exchange.answer("GET", path, {}, 1.0).status for _ in range(80)]
    assert statuses[-1] == 429
    assert spot.exchange.state()["weight_exceeded"] == statuses.count(429)
    assert spot.exchange.state()["requests"] == 80
    deribit = wire("deribit")
    for _ in range(11):
        deribit.subscribe("platform_state")
    assert deribit.exchange.state()["credits_exceeded"] == 1
    assert Close(1008, "too_many_requests") in deribit.instructions


def test_a_wrong_route_is_acknowledged_and_stays_silent(wire: Any) -> None:
    one = wire("binance_usdm")
    one.subscribe("ethusdt@aggTrade")
    strike(one, fault="wrong_route", seconds=5, route="market")
    assert one.subscribe("btcusdt@aggTrade") == {"result": None, "id": 1}
    for place in range(20):
        step(one, 1.0 + place)
    assert not one.data("btcusdt@aggTrade")
    assert one.data("ethusdt@aggTrade"), "what was subscribed before goes on"
    assert effect(one, "wrong_route") == 1
    public = Wire(one.exchange, "/public/stream")
    public.subscribe("btcusdt@bookTicker")
    public.run(one.exchange.source.now + 3_000_000, now=2.0)
    assert public.data("btcusdt@bookTicker"), "the other route delivers"
    after = Wire(one.exchange, URLS["binance_usdm"])
    after.subscribe("btcusdt@aggTrade")
    after.run(one.exchange.source.now + 3_000_000, now=30.0)
    assert after.data("btcusdt@aggTrade")


def test_a_short_answer_leaves_channels_out_that_then_deliver_nothing(wire: Any) -> None:
    one = wire("deribit")
    strike(one, fault="short_ack", count=1)
    channels = ["trades.BTC-PERPETUAL.100ms", "trades.ETH-PERPETUAL.100ms", "quote.BTC-PERPETUAL"]
    answer = one.subscribe(*channels)
    assert answer["result"] == [channels[1]]
    for place in range(10):
        step(one, float(place))
    assert not one.data(channels[0])
    assert one.data(channels[1])
    assert effect(one, "short_ack") == 1
    assert one.subscribe(*channels)["result"] == channels, "it happens once"


def test_heartbeats_stop_and_data_goes_on(wire: Any) -> None:
    one = wire("deribit")
    one.say({"id": 1, "method": "public/set_heartbeat", "params": {"interval": 10}})
    one.subscribe("quote.BTC-PERPETUAL")
    strike(one, fault="heartbeat_stop", seconds=35)
    assert [one.exchange.due(one.conversation, now) for now in (10.0, 20.0, 30.0)] == [[], [], []]
    assert effect(one, "heartbeat_stop") == 3
    step(one, 31.0)
    assert one.data("quote.BTC-PERPETUAL")
    assert [type(said) for said in one.exchange.due(one.conversation, 41.0)] == [Say]


@pytest.mark.parametrize(("key", "every"), [("binance_spot", 20.0), ("binance_usdm", 180.0)])
def test_silence_without_pings(wire: Any, key: str, every: float) -> None:
    one = wire(key)
    strike(one, fault="silence", seconds=every * 1.5, pings=False)
    assert one.exchange.due(one.conversation, every + 1) == []
    assert effect(one, "silence") == 1
    (ping,) = one.exchange.due(one.conversation, every * 2 + 2)
    assert isinstance(ping, Ping)


def test_a_flood_of_test_requests_wants_answers(wire: Any) -> None:
    one = wire("deribit")
    strike(one, fault="test_request_flood", count=50)
    asked = [said for said in one.heard if said.get("params") == {"type": "test_request"}]
    assert len(asked) == effect(one, "test_request_flood") == 50
    assert one.exchange.due(one.conversation, 11.0) == [Close(1000, "heartbeat failed")]
    for number in range(50):
        assert "result" in one.say({"id": number, "method": "public/test"}, now=1.0)


def test_too_many_requests_ends_the_session_and_refuses_everything(wire: Any) -> None:
    one = wire("deribit")
    strike(one, fault="too_many_requests", seconds=5)
    assert one.heard[-1]["error"]["code"] == 10028
    assert one.instructions == [Close(1008, "too_many_requests")]
    answer = one.exchange.answer("GET", "/api/v2/public/get_time", {}, 1.0)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (429, 10028)
    other = Wire(one.exchange, URLS["deribit"])
    assert other.say({"id": 9, "method": "public/test"}, now=2.0)["error"]["code"] == 10028
    assert other.instructions == [Close(1008, "too_many_requests")]
    last = Wire(one.exchange, URLS["deribit"])
    assert "result" in last.say({"id": 9, "method": "public/test"}, now=6.0)
    assert effect(one, "too_many_requests") == 3


@pytest.mark.parametrize("key", EVERY)
def test_maintenance_without_notice_drops_everyone(wire: Any, key: str) -> None:
    one = wire(key)
    one.subscribe("platform_state", "btcusdt@trade")
    strike(one, fault="maintenance", seconds=5, notice=False)
    assert one.instructions == [Abort()]
    assert not one.data("platform_state")
    assert isinstance(one.exchange.knock(URLS[key], 1.0), Refusal)
    path = {
        "binance_spot": "/api/v3/time",
        "binance_usdm": "/fapi/v1/time",
        "deribit": "/api/v2/public/get_time",
    }
    assert one.exchange.answer("GET", path[key], {}, 1.0).status == 503
    if key == "binance_spot":
        assert '"status":1' in one.exchange.answer("GET", "/sapi/v1/system/status", {}, 1.0).body
    assert isinstance(one.exchange.knock(URLS[key], 6.0), Welcome)
    step(one, 6.0)
    assert one.exchange.answer("GET", path[key], {}, 6.0).status == 200
    assert effect(one, "maintenance") == 3


@pytest.mark.parametrize(("key", "code"), [("deribit", 11051), ("binance_spot", -1016)])
def test_maintenance_that_accepts_connections_refuses_requests(wire: Any, key: str, code: int) -> None:
    one = wire(key)
    strike(one, fault="maintenance", seconds=5, accepting=True)
    other = Wire(one.exchange, URLS[key])
    assert other.subscribe("btcusdt@trade", "platform_state")["error"]["code"] == code
    assert not other.conversation.streams
    last = Wire(one.exchange, URLS[key])
    last.say({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}, now=6.0)
    assert "error" not in str(last.heard) or key == "deribit"


REFUSALS = [
    ("binance_spot", 429, -1003),
    ("binance_spot", 418, -1003),
    ("binance_usdm", 503, -1008),
    ("binance_usdm", 500, -1000),
    ("deribit", 429, 10028),
    ("deribit", 500, 11094),
    ("deribit", 503, 13503),
]


@pytest.mark.parametrize(("key", "status", "code"), REFUSALS)
def test_rest_is_refused_as_told(wire: Any, key: str, status: int, code: int) -> None:
    one = wire(key)
    path = {
        "binance_spot": "/api/v3/time",
        "binance_usdm": "/fapi/v1/time",
        "deribit": "/api/v2/public/get_time",
    }
    strike(one, fault="rest_refuse", seconds=5, status=status, retry_after=3)
    answer = one.exchange.answer("GET", path[key], {}, 1.0)
    body = json.loads(answer.body)
    assert (answer.status, body.get("code") or body["error"]["code"]) == (status, code)
    assert answer.headers["Retry-After"] == "3"
    assert one.exchange.answer("GET", path[key], {}, 6.0).status == 200
    assert effect(one, "rest_refuse") == 1
    assert one.exchange.state()["weight_exceeded"] == 0, "a fault is no violation"


@pytest.mark.parametrize("key", EVERY)
def test_connections_made_while_one_is_closed_are_left_alone(wire: Any, key: str) -> None:
    one = wire(key)
    strike(one, fault="close", code=1008)
    assert one.instructions == [Close(1008, "fault")]
    other = Wire(one.exchange, URLS[key])
    step(one, 1.0)
    assert other.instructions == []
    assert effect(one, "close") == 1
    assert ledger_entries(one.exchange, "trade") == []
