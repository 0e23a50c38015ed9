"""The WebSocket API: who may listen, and how listening ends."""

from __future__ import annotations

from typing import Any

import pytest

from streamers.simulator.hub import Close
from streamers.simulator.listing import BINANCE_SPOT
from tests.streamers.simulator.accounts.binance import Client, edwards, make, settle, spec, still, strike
from tests.streamers.simulator.conftest import Wire

API = "/ws-api/v3"
SUBSCRIBE = "userDataStream.subscribe.signature"


def ask(wire: Wire, method: str, params: Any = None, now: float = 0.0) -> Any:
    request = {"id": "a", "method": method, **({} if params is None else {"params": params})}
    return wire.say(request, now)


@pytest.fixture
def client() -> Client:
    return Client(still(make(spec(BINANCE_SPOT), edwards(BINANCE_SPOT, "edwards"))))


@pytest.fixture
def other(client: Client) -> Client:
    return Client(client.exchange, "edwards")


@pytest.fixture
def wire(client: Client) -> Wire:
    return Wire(client.exchange, API)


def error_of(answer: Any) -> tuple[int, int]:
    return answer["status"], answer["error"]["code"]


def test_both_kinds_of_keys_subscribe_by_signature_and_are_told_their_number(
    client: Client, other: Client, wire: Wire
) -> None:
    first = ask(wire, SUBSCRIBE, client.params())
    assert (first["id"], first["status"], first["result"]) == ("a", 200, {"subscriptionId": 0})
    assert first["rateLimits"][0]["count"] == 2
    assert ask(wire, SUBSCRIBE, other.params())["result"] == {"subscriptionId": 1}
    assert ask(wire, "session.subscriptions")["result"] == [{"subscriptionId": 0}, {"subscriptionId": 1}]
    other.place("BTCUSDT", "buy", "0.01", price="80000")
    heard = settle(wire)
    assert {one["subscriptionId"] for one in heard} == {1}
    assert [one["event"]["e"] for one in heard] == ["executionReport", "outboundAccountPosition"]


def test_an_account_subscribes_once_on_a_connection(client: Client, wire: Wire) -> None:
    ask(wire, SUBSCRIBE, client.params())
    assert error_of(ask(wire, SUBSCRIBE, client.params())) == (400, -2035)
    assert ask(Wire(client.exchange, API), SUBSCRIBE, client.params())["status"] == 200


def test_what_is_signed_wrongly_or_late_or_by_nobody_is_refused(client: Client, wire: Wire) -> None:
    good = client.params()
    assert error_of(ask(wire, SUBSCRIBE, {**good, "signature": "00"})) == (400, -1022)
    assert error_of(ask(wire, SUBSCRIBE, {**good, "apiKey": "nobody"})) == (401, -2015)
    late = client.params(timestamp=client.now - 5001)
    assert error_of(ask(wire, SUBSCRIBE, late)) == (400, -1021)
    assert error_of(ask(wire, SUBSCRIBE, client.params(timestamp=client.now + 1000))) == (400, -1021)
    assert error_of(ask(wire, SUBSCRIBE, {"apiKey": good["apiKey"]})) == (400, -1102)
    assert error_of(ask(wire, "userDataStream.start")) == (400, -1020)
    assert error_of(wire.say("no json")) == (400, -1100)
    assert ask(wire, SUBSCRIBE, good)["status"] == 200


def test_only_ed25519_keys_log_on(client: Client, other: Client, wire: Wire) -> None:
    assert ask(wire, "session.logon", client.params())["status"] == 400
    assert ask(wire, "userDataStream.subscribe")["status"] == 401
    assert ask(wire, "session.status")["result"]["apiKey"] is None
    status = ask(wire, "session.logon", other.params(recvWindow=5000))["result"]
    assert (status["apiKey"], status["userDataStream"]) == ("edwards-key", False)
    assert ask(wire, "userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    assert ask(wire, "session.status")["result"]["userDataStream"] is True
    other.place("BTCUSDT", "buy", "0.01", price="80000")
    assert settle(wire)[0]["event"]["x"] == "NEW"


def test_logging_out_ends_what_the_session_subscribed_to(client: Client, other: Client, wire: Wire) -> None:
    ask(wire, SUBSCRIBE, client.params())
    ask(wire, "session.logon", other.params())
    ask(wire, "userDataStream.subscribe")
    wire.heard.clear()
    ask(wire, "session.logout")
    assert [one.get("event", {}).get("e") for one in wire.heard] == [None, "eventStreamTerminated"]
    assert wire.heard[1]["subscriptionId"] == 1
    assert ask(wire, "session.subscriptions")["result"] == [{"subscriptionId": 0}]


def test_unsubscribing_ends_the_stream_and_a_new_one_gets_a_new_number(client: Client, wire: Wire) -> None:
    ask(wire, SUBSCRIBE, client.params())
    assert error_of(ask(wire, "userDataStream.unsubscribe", {"subscriptionId": 5})) == (400, -2036)
    wire.heard.clear()
    assert ask(wire, "userDataStream.unsubscribe", {"subscriptionId": 0})["result"] == {}
    assert wire.heard[1]["event"]["e"] == "eventStreamTerminated"
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert settle(wire) == []
    assert ask(wire, SUBSCRIBE, client.params())["result"] == {"subscriptionId": 1}


def test_a_key_that_expires_ends_the_stream_with_a_word(client: Client, wire: Wire) -> None:
    ask(wire, SUBSCRIBE, client.params())
    strike(client.exchange, fault="key_expired", account="main")
    (said,) = settle(wire)
    assert (said["subscriptionId"], said["event"]["e"]) == (0, "eventStreamTerminated")
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert settle(wire) == []
    assert error_of(ask(wire, SUBSCRIBE, client.params())) == (401, -2015)
    assert client.exchange.state()["faults"]["key_expired"] == 1


def test_a_key_that_is_revoked_falls_silent_until_the_next_request(client: Client, wire: Wire) -> None:
    ask(wire, SUBSCRIBE, client.params())
    strike(client.exchange, fault="key_revoked", account="main")
    assert settle(wire) == []
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert settle(wire) == []
    dead = ask(wire, "ping")
    assert (dead["id"], *error_of(dead)) == (None, 401, -2015)
    assert ask(wire, "ping")["result"] == {}


def test_while_nobody_is_let_in_a_good_key_is_refused(client: Client, wire: Wire) -> None:
    strike(client.exchange, fault="auth_refused", seconds=5.0)
    settle(wire)
    assert error_of(ask(wire, SUBSCRIBE, client.params(), now=4.0)) == (401, -2015)
    assert ask(wire, SUBSCRIBE, client.params(), now=5.0)["status"] == 200


def test_requests_weigh_on_the_same_limit_as_rest(client: Client, wire: Wire) -> None:
    client.read("/api/v3/account")
    assert ask(wire, "ping")["rateLimits"][0]["count"] == 21
    for _ in range(5979):
        assert ask(wire, "ping")["status"] == 200
    answer = ask(wire, "ping")
    assert error_of(answer) == (429, -1003)


def test_limits_are_told_unless_the_url_declines(client: Client) -> None:
    quiet = Wire(client.exchange, f"{API}?returnRateLimits=false")
    assert "rateLimits" not in ask(quiet, "ping")


def test_a_connection_lives_by_pongs_and_says_goodbye_in_its_own_shape(client: Client, wire: Wire) -> None:
    conversation = wire.conversation
    (ping,) = conversation.due(20.0)
    assert conversation.ponged(ping.payload, 21.0) == []  # type: ignore[union-attr]
    assert isinstance(conversation.due(86_401.0)[0], Close)
    (said,) = conversation.goodbye(5)
    assert said.text == '{"event":{"e":"serverShutdown","E":5}}'  # type: ignore[union-attr]
    assert client.exchange.converse("/ws-api/v4", 0.0) is None


def test_private_messages_can_be_lost_doubled_and_swapped(client: Client) -> None:
    wire = client.subscribe()
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    strike(client.exchange, fault="private_missed", count=1)
    settle(wire)
    assert [one["event"]["e"] for one in wire.heard] == ["executionReport", "outboundAccountPosition"]
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert [one["event"]["e"] for one in settle(wire)] == ["outboundAccountPosition"]
    strike(client.exchange, fault="private_reorder", count=1)
    settle(wire)
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert [one["event"]["e"] for one in settle(wire)] == ["outboundAccountPosition", "executionReport"]
    strike(client.exchange, fault="private_duplicate", count=1)
    settle(wire)
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    first, second, _ = settle(wire)
    assert first == second
