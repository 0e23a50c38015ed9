"""The server half of Deribit: envelopes, subscriptions, heartbeat, credits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamers.simulator.deribit import known_channel
from streamers.simulator.hub import Close, texts


def call(one: Any, method: str, now: float = 0.0, **params: Any) -> Any:
    return one.say({"jsonrpc": "2.0", "id": 9, "method": method, "params": params}, now)


@pytest.fixture
def one(wire: Any) -> Any:
    return wire("deribit")


def test_an_answer_has_times_and_the_testnet_flag(one: Any) -> None:
    answer = call(one, "public/get_time")
    assert answer["id"] == 9
    assert answer["testnet"] is False
    assert answer["usOut"] - answer["usIn"] == answer["usDiff"]


def test_the_result_lists_only_what_is_really_subscribed(one: Any) -> None:
    answer = call(
        one,
        "public/subscribe",
        channels=["trades.BTC-PERPETUAL.100ms", "trades.NOPE.100ms", "x", "quote.BTC-PERPETUAL"],
    )
    assert answer["result"] == ["trades.BTC-PERPETUAL.100ms", "quote.BTC-PERPETUAL"]
    assert call(one, "public/unsubscribe", channels=["quote.BTC-PERPETUAL", "x"])["result"] == [
        "quote.BTC-PERPETUAL"
    ]


def test_raw_needs_a_login(one: Any) -> None:
    refused = call(one, "public/subscribe", channels=["trades.BTC-PERPETUAL.raw"])
    assert refused["error"]["code"] == 13778
    assert call(one, "public/auth", grant_type="client_credentials")["error"]["code"] == 13004
    assert (
        call(one, "public/auth", grant_type="client_credentials", client_id="a")["result"]["token_type"]
        == "bearer"
    )
    taken = call(one, "private/subscribe", channels=["trades.BTC-PERPETUAL.raw"])
    assert taken["result"] == ["trades.BTC-PERPETUAL.raw"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", -32700),
        ("[]", -32600),
        ('{"jsonrpc":"2.0","id":1}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"public/dance"}', -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"private/get_positions"}', 13009),
        ('{"jsonrpc":"2.0","id":1,"method":"public/subscribe","params":{"channels":"x"}}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"public/set_heartbeat","params":{"interval":5}}', -32602),
        (json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": "b" * 40_000}}), -32600),
    ],
)
def test_errors(one: Any, text: str, code: int) -> None:
    assert one.say(text)["error"]["code"] == code


def test_more_than_500_channels_are_refused(one: Any) -> None:
    answer = call(one, "public/subscribe", channels=[f"quote.{n}" for n in range(501)])
    assert answer["error"]["code"] == -32602


def test_heartbeats_alternate_and_a_test_request_wants_an_answer(one: Any) -> None:
    conversation = one.conversation
    assert call(one, "public/set_heartbeat", interval=10)["result"] == "ok"
    assert conversation.due(9.0) == []
    kinds = [
        json.loads(text)["params"]["type"] for now in (10.0, 20.0) for text in texts(conversation.due(now))
    ]
    assert kinds == ["heartbeat", "test_request"]
    assert call(one, "public/test", now=21.0)["result"] == {"version": "1.2.26"}
    assert len(texts(conversation.due(30.0))) == 1
    assert len(texts(conversation.due(40.0))) == 1
    assert conversation.due(50.1) == [Close(1000, "heartbeat failed")]


def test_ten_idle_minutes_end_the_connection(one: Any) -> None:
    assert one.conversation.due(599.0) == []
    assert one.conversation.due(601.0) == [Close(1000, "inactivity")]


def test_credits_run_out_and_end_the_connection(one: Any) -> None:
    for _ in range(10):
        assert "result" in call(one, "public/subscribe", channels=["quote.BTC-PERPETUAL"])
    assert call(one, "public/subscribe", channels=["quote.BTC-PERPETUAL"])["error"]["code"] == 10028
    assert one.instructions == [Close(1008, "too_many_requests")]


@pytest.mark.parametrize(
    ("channel", "known"),
    [
        ("trades.A.100ms", True),
        ("trades.any.any.100ms", True),
        ("trades.option.BTC.agg2", True),
        ("trades.A.50ms", False),
        ("ticker.A.100ms", True),
        ("ticker.B.100ms", False),
        ("quote.A", True),
        ("quote.A.100ms", False),
        ("chart.trades.A.1", True),
        ("chart.trades.A.2", False),
        ("book.A.100ms", True),
        ("book.A.none.10.100ms", True),
        ("perpetual.A.100ms", True),
        ("deribit_price_index.btc_usd", True),
        ("deribit_volatility_index.eth_usd", True),
        ("markprice.options.btc_usd", True),
        ("instrument.state.any.any", True),
        ("platform_state", True),
        ("user.orders.any.any.raw", False),
    ],
)
def test_known_channels(channel: str, known: bool) -> None:
    assert known_channel(channel, {"A"}) is known
