"""What USD-M says of an account: the order of its messages, its wallet, funding, calls and liquidations."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamers.simulator.accounts.book_shapes import Ordered, SimPosition
from streamers.simulator.accounts.usdm_house import MAINTENANCE, liquidation_price, unrealized
from streamers.simulator.listing import BINANCE_USDM, SECOND
from streamers.simulator.usdm_floor import FUNDING_PERIOD
from tests.streamers.simulator.accounts.binance import Client, make, settle, spec, still, strike
from tests.streamers.simulator.conftest import START, Wire

LAST = 2_000_000_000
"""A number of a public trade that is yet to come."""


@pytest.fixture
def client() -> Client:
    return Client(still(make(spec(BINANCE_USDM))))


@pytest.fixture
def wire(client: Client) -> Wire:
    return client.subscribe()


def gist(said: Any) -> str:
    """Kind, execution and status."""
    if said["e"] == "ORDER_TRADE_UPDATE":
        return f"{said['o']['x']} {said['o']['X']}"
    return f"{said['e']} {said['o']['X']}" if said["e"] == "ALGO_UPDATE" else str(said["e"])


def test_an_order_that_rests_is_told_before_its_fill_and_the_wallet_in_between(
    client: Client, wire: Wire
) -> None:
    order = client.place("ETHUSDT", "buy", "0.5", price="3000", client_id="mine")
    (new,) = settle(wire)
    assert (new["o"]["i"], new["o"]["b"], new["o"]["a"]) == (int(order), "1500.0", "0")
    assert "n" not in new["o"]
    client.fill(order, "3000", "0.2", LAST)
    lite, wallet, fill = settle(wire)
    assert [gist(one) for one in (lite, wallet, fill)] == [
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "TRADE PARTIALLY_FILLED",
    ]
    assert (lite["t"], lite["l"], lite["i"]) == (LAST, "0.2", int(order))
    assert wallet["a"]["m"] == "ORDER"
    assert wallet["a"]["B"] == [{"a": "USDT", "wb": "99999.88000000", "cw": "99999.88000000", "bc": "0"}]
    (position,) = wallet["a"]["P"]
    assert (position["pa"], position["ep"], position["ps"]) == ("0.2", "3000.00000", "BOTH")
    assert (fill["o"]["n"], fill["o"]["N"], fill["o"]["rp"]) == ("0.12000000", "USDT", "0.00000000")
    assert int(order) > 2**53


def test_the_short_message_of_a_fill_at_once_comes_before_its_order(client: Client, wire: Wire) -> None:
    client.place("BTCUSDT", "buy", "0.001", kind="market")
    said = settle(wire)
    assert [gist(one) for one in said] == [
        "TRADE_LITE",
        "NEW NEW",
        "ACCOUNT_UPDATE",
        "TRADE FILLED",
    ]


def test_a_conditional_order_is_told_apart_until_another_comes_of_it(client: Client, wire: Wire) -> None:
    algo = client.place("ETHUSDT", "sell", "1", kind="stop_market", trigger_price="3000", client_id="guard")
    assert [row["algoId"] for row in client.read("/fapi/v1/openAlgoOrders")] == [int(algo)]
    assert client.read("/fapi/v1/openOrders") == []
    made = client.account.book.trigger(algo, client.exchange.source.shown)
    client.fill(made.order_id, "2999", "1", LAST, maker=False)
    said = settle(wire)
    assert [gist(one) for one in said] == [
        "ALGO_UPDATE NEW",
        "ALGO_UPDATE TRIGGERING",
        "ALGO_UPDATE TRIGGERED",
        "TRADE_LITE",
        "NEW NEW",
        "ACCOUNT_UPDATE",
        "TRADE FILLED",
        "ALGO_UPDATE FINISHED",
    ]
    assert said[2]["o"]["ai"] == str(said[4]["o"]["i"]) == made.order_id
    assert (said[4]["o"]["o"], said[4]["o"]["ot"], said[4]["o"]["c"]) == ("MARKET", "STOP_MARKET", "guard")
    row = client.read("/fapi/v1/algoOrder", algoId=algo)
    assert (row["algoStatus"], row["actualOrderId"]) == ("FINISHED", made.order_id)
    assert client.read("/fapi/v1/openAlgoOrders") == []
    other = client.place("ETHUSDT", "sell", "1", kind="take_limit", price="9000", trigger_price="8999")
    client.account.book.cancel(other, client.exchange.source.shown)
    assert [gist(one) for one in settle(wire)] == ["ALGO_UPDATE NEW", "ALGO_UPDATE CANCELED"]


def test_a_rejected_conditional_order_says_why(client: Client, wire: Wire) -> None:
    algo = client.place("ETHUSDT", "sell", "1", kind="stop_market", trigger_price="3000")
    settle(wire)
    order = client.account.book.orders[algo]
    rejected = msgspec.structs.replace(order, state="rejected", reason="Margin is insufficient.")
    client.desk.half.told(client.account, Ordered(rejected, "rejected"))
    (said,) = settle(wire)
    assert (gist(said), said["o"]["rm"]) == ("ALGO_UPDATE REJECTED", "Margin is insufficient.")


def test_profit_and_commission_are_movements_of_their_own(client: Client, wire: Wire) -> None:
    buy = client.place("SOLUSDT", "buy", "10", price="140")
    client.fill(buy, "140", "10", LAST)
    sell = client.place("SOLUSDT", "sell", "15", price="150")
    client.fill(sell, "150", "15", LAST + 1)
    *_, wallet, fill = settle(wire)
    assert (fill["o"]["rp"], fill["o"]["n"]) == ("100.00000000", "-0.11250000")  # makers of it are paid
    (position,) = wallet["a"]["P"]
    assert (position["pa"], position["ep"], position["cr"]) == ("-5", "150.00000", "100.00000000")
    rows = client.read("/fapi/v1/income")
    assert [(row["incomeType"], Decimal(row["income"])) for row in rows] == [
        ("COMMISSION", Decimal("0.07")),
        ("REALIZED_PNL", Decimal(100)),
        ("COMMISSION", Decimal("0.1125")),
    ]
    assert rows[1]["tranId"] == rows[2]["tranId"]
    (first, second) = client.read("/fapi/v1/userTrades", symbol="SOLUSDT")
    assert (first["realizedPnl"], second["realizedPnl"]) == ("0.00000000", "100.00000000")


@pytest.mark.parametrize(("side", "pays"), [("buy", -1), ("sell", 1)])
def test_funding_comes_every_eight_hours_to_who_holds_something(client: Client, side: str, pays: int) -> None:
    order = client.place("BTCUSDT", side, "0.1", price="80000")
    client.fill(order, "80000", "0.1", LAST)
    client.desk.settle()
    client.exchange.source.agenda.now = (START // FUNDING_PERIOD + 1) * FUNDING_PERIOD - SECOND  # type: ignore[attr-defined]
    (said,) = [one for one in settle(client.subscribe(), 2 * SECOND) if one["e"] == "ACCOUNT_UPDATE"]
    assert (said["a"]["m"], said["a"]["S"], said["a"]["P"]) == ("FUNDING_FEE", "BTCUSDT", [])
    change = Decimal(said["a"]["B"][0]["bc"])
    assert change * pays > 0
    (row,) = client.read("/fapi/v1/income", incomeType="FUNDING_FEE")
    assert (Decimal(row["income"]), row["symbol"]) == (change, "BTCUSDT")


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_funding_out_of_turn_takes_per_cent_of_the_worth(client: Client, wire: Wire, side: str) -> None:
    order = client.place("BTCUSDT", side, "0.1", price="80000")
    client.fill(order, "80000", "0.1", LAST)
    settle(wire)
    strike(client.exchange, fault="funding", amount="2")
    settle(wire)
    (said,) = settle(wire)
    mark = Decimal(client.read("/fapi/v3/positionRisk")[0]["markPrice"])
    paid = -Decimal(said["a"]["B"][0]["bc"])
    assert paid == (mark * Decimal("0.1") * 2 / 100).quantize(Decimal("0.00000001"))


@pytest.mark.parametrize(("amount", "word"), [("787", "DEPOSIT"), ("-787", "WITHDRAW")])
def test_a_transfer_is_told_with_what_it_changed(client: Client, wire: Wire, amount: str, word: str) -> None:
    strike(client.exchange, fault="transfer", amount=amount)
    settle(wire)
    (said,) = settle(wire)
    assert (said["a"]["m"], said["a"]["P"]) == (word, [])
    assert Decimal(said["a"]["B"][0]["bc"]) == Decimal(amount)
    (row,) = client.read("/fapi/v1/income")
    assert (row["incomeType"], Decimal(row["income"])) == ("TRANSFER", Decimal(amount))


def test_a_liquidation_is_an_order_of_the_exchange_s_own(client: Client, wire: Wire) -> None:
    client.place("BTCUSDT", "buy", "0.001", kind="market")
    exchange = client.exchange
    strike(exchange, fault="liquidation")
    for pit in exchange.source.pits.values():  # type: ignore[attr-defined]
        pit.halted = False
    wire.run(exchange.source.now + 20 * SECOND, step=SECOND)
    orders = [one["o"] for one in wire.heard if one["e"] == "ORDER_TRADE_UPDATE"]
    forced = [one for one in orders if one["c"].startswith("autoclose-")]
    assert [one["x"] for one in forced][:2] == ["NEW", "CALCULATED"]
    assert forced[-1]["X"] == "FILLED"
    assert {(one["S"], one["R"], one["o"], one["f"]) for one in forced} == {("SELL", True, "LIMIT", "IOC")}
    assert client.read("/fapi/v3/positionRisk") == []
    (row,) = client.read("/fapi/v1/forceOrders")
    assert row["clientOrderId"].startswith("autoclose-")


def test_who_loses_too_much_is_called_and_then_closed() -> None:
    client = Client(still(make(spec(BINANCE_USDM, balances={"USDT": "100"}))))
    wire = client.subscribe()
    mark = Decimal(client.exchange.source.tell("BTCUSDT", "mark")[0])
    order = client.place("BTCUSDT", "buy", "0.1", price="99000")
    client.fill(order, str((mark + 580).quantize(Decimal("0.1"))), "0.1", LAST)  # some 40 are left, 37 needed
    settle(wire)
    called = [one for one in settle(wire, 2 * SECOND) if one["e"] == "MARGIN_CALL"]
    assert [(one["p"][0]["s"], one["p"][0]["pa"]) for one in called] == [("BTCUSDT", "0.1")]
    strike(client.exchange, fault="transfer", asset="USDT", amount="-30")
    said = settle(wire, 4 * SECOND)
    assert any(one["e"] == "ORDER_TRADE_UPDATE" and one["o"]["c"].startswith("autoclose-") for one in said)


def test_what_a_liquidation_leaves_owing_is_insured() -> None:
    client = Client(still(make(spec(BINANCE_USDM, balances={"USDT": "100"}))))
    wire = client.subscribe()
    buy = client.place("BTCUSDT", "buy", "0.1", price="99000")
    client.fill(buy, "92000", "0.1", LAST)
    sell = client.place("BTCUSDT", "sell", "0.1", price="90000")
    client.fill(sell, "90000", "0.1", LAST + 1)
    owing = client.account.book.balances["USDT"]
    assert owing < 0
    (said,) = [one for one in settle(wire, 2 * SECOND) if one.get("a", {}).get("m") == "INSURANCE_CLEAR"]
    assert said["a"]["B"] == [{"a": "USDT", "wb": "0.00000000", "cw": "0.00000000", "bc": str(-owing)}]
    assert client.read("/fapi/v1/income")[-1]["incomeType"] == "INSURANCE_CLEAR"


@pytest.mark.parametrize("quantity", ["0.1", "-0.1"])
def test_at_its_liquidation_price_a_position_needs_all_that_is_left(quantity: str) -> None:
    position = SimPosition(symbol="BTCUSDT", asset="USDT", quantity=Decimal(quantity), entry=Decimal(90_000))
    price = liquidation_price(position, Decimal(500))
    left = 500 + unrealized(position, price)
    assert abs(left - abs(position.quantity) * price * MAINTENANCE) < Decimal("0.00001")
    assert (price < 90_000) == (position.quantity > 0)


def messages(path: Path) -> list[Any]:
    entries = [msgspec.json.decode(line) for line in path.read_text().splitlines()]
    said = [msgspec.json.decode(entry["text"]) for entry in entries if entry["dir"] == "recv"]
    return [one.get("data", one) for one in said]


def test_the_messages_have_the_keys_of_recorded_ones(captures: Path, client: Client, wire: Wire) -> None:
    folder = captures / "messages" / "binance_usdm"
    order = client.place("BTCUSDT", "sell", "0.5", price="90000")
    client.fill(order, "90000", "0.5", LAST)
    client.place("BTCUSDT", "sell", "0.5", kind="stop_market", trigger_price="70000")
    said = settle(wire)
    new, fill = (one for one in said if one["e"] == "ORDER_TRADE_UPDATE")
    (wallet,) = (one for one in said if one["e"] == "ACCOUNT_UPDATE")
    for theirs in messages(folder / "order_lifecycle_2021_maker_then_taker.jsonl"):
        if theirs["e"] == "ACCOUNT_UPDATE":
            assert theirs["a"].keys() <= wallet["a"].keys()
            assert theirs["a"]["B"][0].keys() == wallet["a"]["B"][0].keys()
            assert theirs["a"]["P"][0].keys() <= wallet["a"]["P"][0].keys()
        else:
            ours = {"NEW": new, "TRADE": fill}[theirs["o"]["x"]]
            assert theirs["o"].keys() <= ours["o"].keys()
            assert {key: type(value) for key, value in theirs["o"].items()} == {
                key: type(ours["o"][key]) for key in theirs["o"]
            }
    algo = msgspec.json.decode((folder / "algo_update_new.json").read_bytes())
    assert algo["o"].keys() <= said[-1]["o"].keys()
    lite = msgspec.json.decode((folder / "trade_lite.json").read_bytes())
    assert lite.keys() == said[0].keys()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_of_a_trader_adds_up(seed: int) -> None:
    """Wallet = opening + profit − commission + funding, told or asked; positions = Σ signed fills."""
    exchange = make(spec(BINANCE_USDM, seed=seed, orders_per_minute=240))
    client = Client(exchange)
    wire = client.subscribe()
    wire.run(exchange.source.now + 60 * SECOND, step=SECOND)
    strike(exchange, fault="funding", amount="0.1")
    strike(exchange, fault="transfer", asset="USDT", amount="-1000")
    wire.run(exchange.source.now + 120 * SECOND, step=SECOND)
    book, said = client.account.book, wire.heard
    fills = [one["o"] for one in said if one["e"] == "ORDER_TRADE_UPDATE" and one["o"]["x"] == "TRADE"]
    assert len(fills) == len(book.fills) > 30
    assert [one["t"] for one in said if one["e"] == "TRADE_LITE"] != []
    assert {one["t"] for one in said if one["e"] == "TRADE_LITE"} == {one["t"] for one in fills}
    wallet = Decimal(100_000)
    for one in fills:
        wallet += Decimal(one["rp"]) - Decimal(one["n"])
    wallets = [one["a"] for one in said if one["e"] == "ACCOUNT_UPDATE"]
    wallet += sum((Decimal(one["B"][0]["bc"]) for one in wallets), Decimal(0))
    assert wallet == book.balances["USDT"] == Decimal(wallets[-1]["B"][0]["wb"])
    rows: list[Any] = []
    since = START // 1000
    while page := client.read("/fapi/v1/income", startTime=since, limit=50):
        known = {(row["incomeType"], row["tranId"]) for row in rows}
        new = [row for row in page if (row["incomeType"], row["tranId"]) not in known]
        rows += new
        since = page[-1]["time"] + (not new)
    assert 100_000 + sum(Decimal(row["income"]) for row in rows) == wallet
    assert len({(row["incomeType"], row["tranId"]) for row in rows}) == len(rows) == len(book.movements)
    for symbol in {one["s"] for one in fills}:
        signed = sum(
            Decimal(one["l"]) * (1 if one["S"] == "BUY" else -1) for one in fills if one["s"] == symbol
        )
        told = [p for one in wallets for p in one["P"] if p["s"] == symbol]
        shown = client.read("/fapi/v3/positionRisk", symbol=symbol)
        assert Decimal(told[-1]["pa"]) == signed
        assert sum(Decimal(row["positionAmt"]) for row in shown) == signed
    account = client.read("/fapi/v3/account")
    assert Decimal(account["totalWalletBalance"]) == wallet
    assert Decimal(account["totalMarginBalance"]) == wallet + Decimal(account["totalUnrealizedProfit"])
    last = {one["o"]["i"]: one["o"]["X"] for one in said if one["e"] == "ORDER_TRADE_UPDATE"}
    waiting = {number for number, status in last.items() if status in ("NEW", "PARTIALLY_FILLED")}
    assert waiting == {row["orderId"] for row in client.read("/fapi/v1/openOrders")}
    assert {"NEW", "TRADE", "CANCELED", "AMENDMENT"} <= {
        one["o"]["x"] for one in said if one["e"] == "ORDER_TRADE_UPDATE"
    }
