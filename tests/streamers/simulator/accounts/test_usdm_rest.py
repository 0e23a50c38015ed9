"""USD-M's private REST: wallet, positions, and histories with their windows, pages and memory."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from streamers.simulator.accounts.binance_history import DAY
from streamers.simulator.listing import BINANCE_USDM
from tests.streamers.simulator.accounts.binance import Client, edwards, make, settle, spec, still, strike
from tests.streamers.simulator.conftest import START

ORDERS, TRADES, INCOME = "/fapi/v1/allOrders", "/fapi/v1/userTrades", "/fapi/v1/income"
NOW = START // 1000


@pytest.fixture
def client() -> Client:
    return Client(still(make(spec(BINANCE_USDM), edwards(BINANCE_USDM, "edwards"))))


def at(client: Client, days: float) -> None:
    """Let the clock go on to so many days after the start."""
    client.exchange.source.agenda.now = START + int(days * 86_400) * 1_000_000  # type: ignore[attr-defined]


def trade(client: Client, number: int, side: str = "buy", symbol: str = "BTCUSDT") -> str:
    order = client.place(symbol, side, "0.01", price="80000")
    client.fill(order, str(80_000 + number), "0.01", number)
    return order


@pytest.fixture
def days(client: Client) -> Client:
    """Fills 1 to 8, two days apart; every second one closes."""
    for number in range(1, 9):
        at(client, 2 * number)
        trade(client, number, "sell" if number % 2 == 0 else "buy")
    return client


def ids(rows: Any, key: str = "id") -> list[Any]:
    return [row[key] for row in rows]


@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("/fapi/v3/account", {}, 5),
        ("/fapi/v3/balance", {}, 5),
        ("/fapi/v3/positionRisk", {}, 5),
        ("/fapi/v1/openOrders", {}, 40),
        ("/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
        ("/fapi/v1/openAlgoOrders", {}, 40),
        (ORDERS, {}, 5),
        ("/fapi/v1/allAlgoOrders", {"symbol": "BTCUSDT"}, 5),
        (TRADES, {"symbol": "BTCUSDT"}, 5),
        (INCOME, {}, 30),
        ("/fapi/v1/positionSide/dual", {}, 30),
        ("/sapi/v1/account/apiRestrictions", {}, 1),
    ],
)
def test_every_endpoint_is_signed_and_weighs_what_the_exchange_says(
    client: Client, path: str, params: Any, weight: int
) -> None:
    answer = Client(client.exchange, "edwards").ask(path, **params)
    assert (answer.status, answer.headers["X-MBX-USED-WEIGHT-1M"]) == (200, str(weight))
    for target, code in ((path, -1102), (f"{path}?timestamp={client.now}&signature=00", -1022)):
        assert json.loads(client.send(target).body)["code"] == code


def test_wallet_and_positions_hang_together(client: Client) -> None:
    trade(client, 1)
    trade(client, 2, "sell", "ETHUSDT")
    client.place("BTCUSDT", "buy", "1", price="1000")
    account = client.read("/fapi/v3/account")
    risks = {row["symbol"]: row for row in client.read("/fapi/v3/positionRisk")}
    assert {symbol: row["positionAmt"] for symbol, row in risks.items()} == {
        "BTCUSDT": "0.01",
        "ETHUSDT": "-0.01",
    }
    (usdt,) = (row for row in account["assets"] if row["asset"] == "USDT")
    (balance,) = (row for row in client.read("/fapi/v3/balance") if row["asset"] == "USDT")
    brings = sum(Decimal(row["unRealizedProfit"]) for row in risks.values())
    assert Decimal(usdt["unrealizedProfit"]) == Decimal(balance["crossUnPnl"]) == brings
    assert Decimal(usdt["openOrderInitialMargin"]) == 50
    tied = sum(Decimal(row["initialMargin"]) for row in risks.values())
    assert Decimal(usdt["positionInitialMargin"]) == tied
    available = Decimal(usdt["walletBalance"]) + brings - tied - 50
    assert Decimal(balance["availableBalance"]) == available
    assert {row["symbol"] for row in account["positions"]} == set(risks)
    assert ids(client.read("/fapi/v3/positionRisk", symbol="ETHUSDT"), "symbol") == ["ETHUSDT"]
    assert client.read("/fapi/v1/positionSide/dual") == {"dualSidePosition": False}


def test_orders_are_told_of_by_symbol_or_all_and_by_weeks(days: Client) -> None:
    assert days.code(ORDERS, startTime=NOW, endTime=NOW + 7 * DAY + 1) == -1127
    assert days.code(ORDERS, symbol="NOPE") == -1121
    all_of_them = [int(order) for order in days.account.book.orders]
    assert ids(days.read(ORDERS), "orderId") == all_of_them[-4:]
    week = days.read(ORDERS, symbol="BTCUSDT", startTime=NOW + 2 * DAY, endTime=NOW + 9 * DAY)
    assert ids(week, "orderId") == all_of_them[:4]
    assert ids(days.read(ORDERS, symbol="BTCUSDT", startTime=NOW + 2 * DAY), "orderId") == all_of_them[:4]
    cursor = days.read(ORDERS, symbol="BTCUSDT", orderId=all_of_them[2], limit=2)
    assert ids(cursor, "orderId") == all_of_them[2:4]
    assert days.read(ORDERS, symbol="ETHUSDT", orderId=1) == []


def test_orders_that_nobody_filled_are_forgotten_after_three_days(client: Client) -> None:
    order = client.place("BTCUSDT", "buy", "0.01", price="80000")
    algo = client.place("BTCUSDT", "buy", "0.01", kind="stop_market", trigger_price="190000")
    waits = client.place("BTCUSDT", "buy", "0.01", price="70000", client_id="waits")
    at(client, 2)
    for one in (order, algo):
        client.account.book.cancel(one, client.exchange.source.shown)
    at(client, 2.9)
    assert client.read("/fapi/v1/order", symbol="BTCUSDT", orderId=order)["status"] == "CANCELED"
    (row,) = client.read("/fapi/v1/allAlgoOrders", symbol="BTCUSDT")
    assert (row["algoId"], row["algoStatus"]) == (int(algo), "CANCELED")
    at(client, 3.1)
    assert client.code("/fapi/v1/order", symbol="BTCUSDT", orderId=order) == -2013
    assert ids(client.read(ORDERS), "orderId") == [int(waits)]
    assert client.read("/fapi/v1/allAlgoOrders", symbol="BTCUSDT") == []
    row = client.read("/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="waits")
    assert row["orderId"] == int(waits)


def test_an_order_s_two_kinds_are_asked_apart(client: Client) -> None:
    algo = client.place("BTCUSDT", "buy", "0.01", kind="take_market", trigger_price="70000")
    assert client.code("/fapi/v1/order", symbol="BTCUSDT", orderId=algo) == -2013
    assert client.read("/fapi/v1/algoOrder", algoId=algo)["orderType"] == "TAKE_PROFIT_MARKET"
    assert client.code("/fapi/v1/algoOrder") == -1102
    assert client.code("/fapi/v1/allAlgoOrders") == -1102
    assert client.read(ORDERS) == []


def test_trades_are_told_of_by_weeks_or_from_a_number_on(days: Client) -> None:
    assert days.code(TRADES) == -1102
    assert days.code(TRADES, symbol="BTCUSDT", fromId=1, startTime=NOW) == -1128
    assert days.code(TRADES, symbol="BTCUSDT", startTime=NOW, endTime=NOW + 7 * DAY + 1) == -1127
    assert ids(days.read(TRADES, symbol="BTCUSDT")) == [5, 6, 7, 8]
    assert ids(days.read(TRADES, symbol="BTCUSDT", fromId=2, limit=3)) == [2, 3, 4]
    assert ids(days.read(TRADES, symbol="BTCUSDT", startTime=NOW, endTime=NOW + 7 * DAY)) == [1, 2, 3]
    order = days.account.book.fills[0].order_id
    assert ids(days.read(TRADES, symbol="BTCUSDT", orderId=order, startTime=NOW)) == [1]
    at(days, 2 * 3 + 90.5)
    assert ids(days.read(TRADES, symbol="BTCUSDT", fromId=1)) == [4, 5, 6, 7, 8]


def test_the_ledger_has_no_pages_and_reaches_three_months_back(days: Client) -> None:
    rows = days.read(INCOME, startTime=NOW)
    assert ids(rows, "incomeType").count("REALIZED_PNL") == 4
    assert len(rows) == 12
    assert (
        rows[:5]
        == days.read(INCOME, startTime=NOW, limit=5)
        == days.read(INCOME, startTime=NOW, limit=5, page=2)
    )
    assert len(days.read(INCOME)) == 6
    assert len(days.read(INCOME, startTime=NOW, incomeType="COMMISSION")) == 8
    assert days.read(INCOME, startTime=NOW, symbol="ETHUSDT") == []
    assert rows[2]["tranId"] == rows[1]["tranId"]
    assert len({(row["incomeType"], row["tranId"]) for row in rows}) == 12
    at(days, 2 * 8 + 89)
    assert ids(days.read(INCOME, startTime=NOW), "tradeId") == ["8", "8"]


def test_a_page_of_the_ledger_is_a_hundred_rows_if_nothing_is_said(client: Client) -> None:
    for number in range(1, 121):
        trade(client, number)
    assert len(client.read(INCOME, startTime=NOW - 1)) == 100
    assert len(client.read(INCOME, startTime=NOW - 1, limit=1000)) == 120


def test_while_rest_is_behind_it_tells_how_things_stood(client: Client) -> None:
    wire = client.subscribe()
    strike(client.exchange, fault="rest_behind", seconds=3.0)
    settle(wire)
    trade(client, 1)
    assert len(settle(wire)) == 4
    assert client.read("/fapi/v3/positionRisk") == client.read(TRADES, symbol="BTCUSDT") == []
    wire.run(client.exchange.source.now + 1000, now=4.0)
    assert ids(client.read(TRADES, symbol="BTCUSDT")) == [1]
