"""Spot's private REST: who may ask, what the histories show, and where they end."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from streamers.simulator.accounts.binance_history import DAY, HOUR
from streamers.simulator.faults import Fault
from streamers.simulator.listing import BINANCE_SPOT
from tests.streamers.simulator.accounts.binance import Client, edwards, make, settle, spec, still, strike
from tests.streamers.simulator.conftest import START

ORDERS, TRADES = "/api/v3/allOrders", "/api/v3/myTrades"


@pytest.fixture
def client() -> Client:
    return Client(still(make(spec(BINANCE_SPOT), edwards(BINANCE_SPOT, "edwards"))))


def at(client: Client, hours: float) -> None:
    """Let the clock go on to so many hours after the start."""
    client.exchange.source.agenda.now = START + int(hours * 3600) * 1_000_000  # type: ignore[attr-defined]


def trade(client: Client, number: int, symbol: str = "BTCUSDT", quantity: str = "0.001") -> str:
    order = client.place(symbol, "buy", quantity, price="50000")
    client.fill(order, "50000", quantity, number)
    return order


@pytest.fixture
def days(client: Client) -> Client:
    """Fills 1, 2, 3 … ten hours apart, two at a time."""
    for number in range(1, 9):
        at(client, number // 2 * 10)
        trade(client, number)
        trade(client, number + 1000, "ETHUSDT")
    return client


def ids(rows: Any, key: str = "id") -> list[Any]:
    return [row[key] for row in rows]


def test_both_kinds_of_keys_sign(client: Client) -> None:
    assert client.read("/api/v3/account")["canTrade"] is False
    assert Client(client.exchange, "edwards").read("/api/v3/account")["accountType"] == "SPOT"


def test_who_may_not_ask_is_told_why(client: Client) -> None:
    account = "/api/v3/account"
    for key, code in (("", -2014), ("nobody", -2015)):
        answer = client.send(f"{account}?timestamp={client.now}&signature=00", key=key)
        assert (answer.status, json.loads(answer.body)["code"]) == (401, code)
    unsigned = client.send(f"{account}?timestamp={client.now}")
    assert (unsigned.status, json.loads(unsigned.body)["code"]) == (400, -1102)
    text = f"timestamp={client.now}"
    first = client.send(f"{account}?signature={client.sign(text)}&{text}")
    assert json.loads(first.body)["code"] == -1022
    assert client.code(account, timestamp=client.now - 6000) == -1021
    assert client.code(account, timestamp=client.now - 6000, recvWindow=5999) == -1021
    assert client.ask(account, timestamp=client.now - 6000, recvWindow=6000).status == 200
    assert client.code(account, recvWindow=60001) == -1131
    assert client.ask(account, "POST").status == 405
    assert client.ask("/api/v3/userDataStream", "POST").status == 404


def test_what_is_not_ascii_is_signed_as_it_is_sent(client: Client) -> None:
    assert client.read(TRADES, symbol="币安人生USDT") == []
    raw = f"symbol=币安人生USDT&timestamp={client.now}"
    encoded = f"symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&timestamp={client.now}"
    answer = client.send(f"{TRADES}?{encoded}&signature={client.sign(raw)}")
    assert json.loads(answer.body)["code"] == -1022


def test_requests_weigh_what_the_exchange_says(client: Client) -> None:
    expected = 0
    for path, params, weight in (
        ("/api/v3/account", {}, 20),
        ("/api/v3/openOrders", {}, 80),
        ("/api/v3/openOrders", {"symbol": "BTCUSDT"}, 6),
        (ORDERS, {"symbol": "BTCUSDT"}, 20),
        (TRADES, {"symbol": "BTCUSDT"}, 20),
        (TRADES, {"symbol": "BTCUSDT", "orderId": 1}, 5),
        ("/sapi/v1/account/apiRestrictions", {}, 1),
    ):
        expected += weight
        assert client.ask(path, **params).headers["X-MBX-USED-WEIGHT-1M"] == str(expected)
    client.exchange.rest.window.limit = expected  # type: ignore[union-attr]
    refused = client.ask("/api/v3/account")
    assert (refused.status, json.loads(refused.body)["code"]) == (429, -1003)
    assert int(refused.headers["Retry-After"]) > 0


def test_what_a_key_may_do_is_told(client: Client) -> None:
    rights = client.read("/sapi/v1/account/apiRestrictions")
    assert (rights["ipRestrict"], rights["enableReading"], rights["enableWithdrawals"]) == (True, True, False)
    able = Client(make(spec(BINANCE_SPOT, permissions={"withdraw": True, "trade": True})))
    rights = able.read("/sapi/v1/account/apiRestrictions")
    assert rights["enableWithdrawals"]
    assert rights["enableSpotAndMarginTrading"]


def test_open_orders_lock_what_they_need(client: Client) -> None:
    client.place("BTCUSDT", "buy", "0.01", price="50000")
    client.place("BTCUSDT", "sell", "1", kind="stop_limit", price="10", trigger_price="11")
    client.place("ETHUSDT", "sell", "3", price="9000")
    balances = {row["asset"]: row for row in client.read("/api/v3/account")["balances"]}
    assert {asset: row["locked"] for asset, row in balances.items()} == {
        "USDT": "500.00000000",
        "BTC": "1.00000000",
        "ETH": "3.00000000",
    }
    assert len(client.read("/api/v3/openOrders")) == 3
    rows = client.read("/api/v3/openOrders", symbol="BTCUSDT")
    assert [(row["type"], row["isWorking"]) for row in rows] == [("LIMIT", True), ("STOP_LOSS_LIMIT", False)]
    assert client.code("/api/v3/openOrders", symbol="NOPE") == -1121


def test_one_order_is_found_by_number_or_name(client: Client) -> None:
    order = client.place("BTCUSDT", "buy", "0.01", price="50000", client_id="mine")
    client.fill(order, "49000", "0.004", 5)
    row = client.read("/api/v3/order", symbol="BTCUSDT", orderId=order)
    assert row == client.read("/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (row["status"], row["executedQty"], row["cummulativeQuoteQty"]) == (
        "PARTIALLY_FILLED",
        "0.00400000",
        "196.00000000",
    )
    assert client.code("/api/v3/order", symbol="ETHUSDT", orderId=order) == -2013
    assert client.code("/api/v3/order", symbol="BTCUSDT") == -1102


def test_an_order_that_nobody_filled_is_archived_after_ninety_days(client: Client) -> None:
    unfilled = client.place("BTCUSDT", "buy", "0.01", price="50000")
    client.account.book.cancel(unfilled, client.exchange.source.shown)
    filled = trade(client, 1)
    at(client, 24 * 90 + 1)
    assert client.code("/api/v3/order", symbol="BTCUSDT", orderId=unfilled) == -2026
    assert ids(client.read(ORDERS, symbol="BTCUSDT", orderId=1), "orderId") == [int(filled)]


def test_histories_are_asked_by_symbol_and_by_days(days: Client) -> None:
    start = START // 1000
    assert days.code(TRADES) == days.code(ORDERS) == -1102
    assert days.code(TRADES, symbol="NOPE") == -1121
    for path in (TRADES, ORDERS):
        assert days.code(path, symbol="BTCUSDT", startTime=start, endTime=start + DAY + 1) == -1127
        assert days.code(path, symbol="BTCUSDT", startTime=start + 1, endTime=start) == -1128
    assert ids(days.read(TRADES, symbol="BTCUSDT")) == list(range(1, 9))
    assert ids(days.read(TRADES, symbol="BTCUSDT", limit=3)) == [6, 7, 8]
    assert ids(days.read(TRADES, symbol="BTCUSDT", startTime=start + 10 * HOUR, limit=3)) == [2, 3, 4]
    assert ids(days.read(TRADES, symbol="BTCUSDT", startTime=start)) == [1, 2, 3, 4, 5]
    assert ids(days.read(TRADES, symbol="BTCUSDT", endTime=start + 40 * HOUR, limit=2)) == [7, 8]
    inside = days.read(TRADES, symbol="BTCUSDT", startTime=start, endTime=start + 10 * HOUR)
    assert ids(inside) == [1, 2, 3]
    assert len(days.read(ORDERS, symbol="BTCUSDT", startTime=start, endTime=start + 10 * HOUR)) == 3


def test_trades_go_on_from_a_number_and_only_some_combinations_are_answered(days: Client) -> None:
    order = days.account.book.fills[4].order_id
    assert ids(days.read(TRADES, symbol="BTCUSDT", fromId=4, limit=2)) == [4, 5]
    assert ids(days.read(TRADES, symbol="BTCUSDT", orderId=order)) == [3]
    assert days.code(TRADES, symbol="BTCUSDT", fromId=4, startTime=START // 1000) == -1128
    assert days.code(TRADES, symbol="BTCUSDT", orderId=order, startTime=START // 1000) == -1128
    first, *_ = days.read(ORDERS, symbol="BTCUSDT")
    rows = days.read(ORDERS, symbol="BTCUSDT", orderId=first["orderId"] + 1, limit=2)
    assert ids(rows, "orderId") == [first["orderId"] + 2, first["orderId"] + 4]


def test_while_rest_is_behind_it_tells_how_things_stood(client: Client) -> None:
    wire = client.subscribe()
    strike(client.exchange, fault="rest_behind", seconds=3.0)
    settle(wire)
    trade(client, 1)
    assert client.read(TRADES, symbol="BTCUSDT") == []
    wire.run(client.exchange.source.now + 1000, now=4.0)
    assert ids(client.read(TRADES, symbol="BTCUSDT")) == [1]


def test_half_of_a_page_can_be_lost(days: Client) -> None:
    days.desk.owed.append((Fault(fault="rest_page_lost"), 1))
    assert ids(days.read(TRADES, symbol="BTCUSDT", startTime=START // 1000)) == [1, 2]
    assert days.exchange.state()["faults"]["rest_page_lost"] == 1
    assert len(days.read(TRADES, symbol="BTCUSDT")) == 8


def test_transfers_are_told_by_direction(client: Client) -> None:
    strike(client.exchange, fault="transfer", asset="USDT", amount="-25")
    settle(client.subscribe())
    told = client.read("/sapi/v1/asset/transfer", type="MAIN_UMFUTURE")
    assert [Decimal(row["amount"]) for row in told["rows"]] == [Decimal(25)]
    assert client.read("/sapi/v1/asset/transfer", type="UMFUTURE_MAIN")["total"] == 0
    assert client.read("/sapi/v1/capital/deposit/hisrec") == []


def test_clocks_go_on_while_the_market_stands_still(client: Client) -> None:
    client.exchange.paused = True
    later = START + 60_000_000
    assert list(client.exchange.step(later, 0.0)) == []
    assert client.exchange.source.shown == START
    assert client.ask("/api/v3/account", timestamp=later // 1000).status == 200
    assert client.code("/api/v3/account", timestamp=START // 1000) == -1021
