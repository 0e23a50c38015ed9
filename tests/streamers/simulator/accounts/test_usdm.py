"""listenKeys and the private routes: who hears what, and until when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamers.simulator.accounts.listen_keys import LIFE
from streamers.simulator.accounts.usdm import private_path
from streamers.simulator.listing import BINANCE_USDM
from tests.streamers.simulator.accounts.binance import Client, make, settle, spec, still, strike
from tests.streamers.simulator.conftest import Wire

KEYS = "/fapi/v1/listenKey"


@pytest.fixture
def client() -> Client:
    return Client(still(make(spec(BINANCE_USDM), spec(BINANCE_USDM, "other"))))


def code_of(body: str) -> int:
    return int(json.loads(body)["code"])


def kinds(heard: list[Any]) -> list[str]:
    return [one.get("data", one)["e"] for one in heard]


@pytest.mark.parametrize(
    ("url", "combined", "streams"),
    [
        ("/private/ws/K", False, ("K",)),
        ("/private/ws?listenKey=K", False, ("K",)),
        ("/private/ws?listenKey=K&events=A/B", False, ("K/A", "K/B")),
        ("/private/stream?streams=K", True, ("K",)),
        ("/private/stream?listenKey=K&events=A&listenKey=L", True, ("K/A", "L")),
        ("/private/ws", False, ()),
    ],
)
def test_a_url_names_keys_and_events(url: str, combined: bool, streams: tuple[str, ...]) -> None:
    path = private_path(url)
    assert path is not None
    assert (path.combined, path.streams) == (combined, streams)


@pytest.mark.parametrize("url", ["/ws/K", "/public/ws/K", "/private", "/private/api"])
def test_other_urls_are_not_private(url: str) -> None:
    assert private_path(url) is None


def test_a_key_is_shared_by_all_who_ask_for_the_account(client: Client) -> None:
    key = client.listen_key()
    assert client.listen_key() == key
    assert Client(client.exchange, "other").listen_key() != key
    assert json.loads(client.send(KEYS, "PUT").body) == {"listenKey": key}
    assert code_of(client.send(KEYS, "POST", key="nobody").body) == -2015
    assert code_of(client.send(KEYS, "POST", key="").body) == -2014
    assert client.send(KEYS).status == 405
    assert client.send(KEYS, "PUT").headers["X-MBX-USED-WEIGHT-1M"] == "7"


def test_events_come_raw_wrapped_or_only_some(client: Client) -> None:
    key = client.listen_key()
    raw = Wire(client.exchange, f"/private/ws/{key}")
    wrapped = Wire(client.exchange, f"/private/stream?streams={key}")
    some = Wire(client.exchange, f"/private/stream?listenKey={key}&events=ACCOUNT_UPDATE/TRADE_LITE")
    later = Wire(client.exchange, "/private/ws")
    assert later.subscribe(key) == {"result": None, "id": 1}
    market = Wire(client.exchange, f"/market/ws/{key}")
    wires = (raw, wrapped, some, later, market)
    order = client.place("BTCUSDT", "buy", "0.01", price="80000")
    client.fill(order, "80000", "0.01", 5)
    for conversation, text in client.exchange.step(client.exchange.source.now + 1000, 0.0):
        for wire in wires:
            if wire.conversation is conversation:
                wire.heard.append(json.loads(str(text)))
    whole = ["TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    assert kinds(raw.heard) == kinds(wrapped.heard) == kinds(later.heard[1:]) == whole
    assert raw.heard == [one["data"] for one in wrapped.heard]
    assert {one["stream"] for one in wrapped.heard} == {key}
    assert kinds(some.heard) == ["TRADE_LITE", "ACCOUNT_UPDATE"]
    assert market.heard == []


def test_a_key_that_lapses_is_told_and_the_socket_stays_open_and_silent(client: Client) -> None:
    key = client.listen_key()
    wire = Wire(client.exchange, f"/private/stream?listenKey={key}&events=ACCOUNT_UPDATE")
    client.exchange.source.agenda.now += LIFE  # type: ignore[attr-defined]
    wire.run(client.exchange.source.now + 2_000_000)
    (said,) = wire.heard
    assert said["stream"] == key
    assert (said["data"]["e"], said["data"]["listenKey"]) == ("listenKeyExpired", key)
    assert wire.instructions == []
    assert code_of(client.send(KEYS, "PUT").body) == -1125
    new = client.listen_key()
    assert new != key
    order = client.place("BTCUSDT", "buy", "0.01", price="80000")
    client.fill(order, "80000", "0.01", 5)
    assert settle(wire) == []
    assert Wire(client.exchange, f"/private/ws/{key}").conversation.streams == {key: False}
    assert Wire(client.exchange, f"/private/ws/{new}").conversation.streams == {new: True}


def test_deleting_a_key_kills_it_for_everybody(client: Client) -> None:
    wire = client.subscribe()
    assert json.loads(client.send(KEYS, "DELETE").body) == {}
    assert kinds(settle(wire)) == ["listenKeyExpired"]
    assert code_of(client.send(KEYS, "PUT").body) == -1125
    assert code_of(client.send(KEYS, "DELETE").body) == -1125
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert settle(wire) == []


@pytest.mark.parametrize(
    ("fault", "said", "next_code"),
    [("listen_key_expired", 1, None), ("key_expired", 1, -2015), ("key_revoked", 0, -2015)],
)
def test_faults_end_keys(client: Client, fault: str, said: int, next_code: int | None) -> None:
    wire = client.subscribe()
    strike(client.exchange, fault=fault, account="main")
    settle(wire)
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    settle(wire)
    assert kinds(wire.heard) == ["listenKeyExpired"] * said
    answer = client.send(KEYS, "POST")
    assert answer.status == (200 if next_code is None else 401)
    assert next_code is None or code_of(answer.body) == next_code
    assert client.exchange.state()["faults"][fault] == 1


def test_private_messages_can_be_lost(client: Client) -> None:
    wire = client.subscribe()
    strike(client.exchange, fault="private_missed", count=1)
    settle(wire)
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    client.place("BTCUSDT", "buy", "0.02", price="80000")
    (said,) = settle(wire)
    assert said["o"]["q"] == "0.02"
