"""What spot says of an account, from the first order to the last coin; held against recorded messages."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamers.simulator.accounts.book_shapes import Ordered
from streamers.simulator.listing import BINANCE_SPOT, SECOND
from tests.streamers.simulator.accounts.binance import Client, make, settle, spec, still, strike
from tests.streamers.simulator.conftest import Wire


@pytest.fixture
def client() -> Client:
    return Client(still(make(spec(BINANCE_SPOT))))


@pytest.fixture
def wire(client: Client) -> Wire:
    return client.subscribe()


def events(heard: list[Any]) -> list[Any]:
    return [one["event"] for one in heard]


def test_an_order_is_told_from_its_start_to_its_last_fill(client: Client, wire: Wire) -> None:
    order = client.place("BTCUSDT", "buy", "0.01", price="80000", client_id="mine")
    new, position = events(settle(wire))
    assert (new["x"], new["X"], new["c"], new["t"], new["w"], new["N"]) == (
        "NEW",
        "NEW",
        "mine",
        -1,
        True,
        None,
    )
    assert position["B"] == [
        {"a": "BTC", "f": "2.00000000", "l": "0.00000000"},
        {"a": "USDT", "f": "99200.00000000", "l": "800.00000000"},
    ]
    client.fill(order, "80000", "0.004", 101)
    partial, position = events(settle(wire))
    assert (partial["x"], partial["X"], partial["t"], partial["m"]) == (
        "TRADE",
        "PARTIALLY_FILLED",
        101,
        True,
    )
    assert (partial["l"], partial["z"], partial["L"]) == ("0.00400000", "0.00400000", "80000.00000000")
    assert (partial["Y"], partial["Z"]) == ("320.00000000", "320.00000000")
    assert (partial["n"], partial["N"]) == ("0.00000400", "BTC")
    assert position["B"] == [
        {"a": "BTC", "f": "2.00399600", "l": "0.00000000"},
        {"a": "USDT", "f": "99200.00000000", "l": "480.00000000"},
    ]
    client.fill(order, "79999", "0.006", 102, maker=False)
    whole, position = events(settle(wire))
    assert (whole["X"], whole["z"], whole["Z"]) == ("FILLED", "0.01000000", "799.99400000")
    assert position["B"][1] == {"a": "USDT", "f": "99200.00600000", "l": "0.00000000"}
    assert new["I"] < partial["I"] < whole["I"]
    assert {one["i"] for one in (new, partial, whole)} == {int(order)}


def test_a_cancel_has_a_name_of_its_own_and_keeps_the_order_s(client: Client, wire: Wire) -> None:
    order = client.place("ETHUSDT", "sell", "1", price="9000", client_id="mine")
    settle(wire)
    client.account.book.cancel(order, client.exchange.source.shown)
    said, position = events(settle(wire))
    assert (said["x"], said["X"], said["C"]) == ("CANCELED", "CANCELED", "mine")
    assert said["c"] != "mine"
    assert position["B"][0] == {"a": "ETH", "f": "10.00000000", "l": "0.00000000"}


def test_an_amendment_an_expiry_and_a_stop_are_told_in_spot_s_words(client: Client, wire: Wire) -> None:
    order = client.place("ETHUSDT", "buy", "1", price="2000")
    client.account.book.amend(order, client.exchange.source.shown, quantity=Decimal("0.5"))
    now = client.place("ETHUSDT", "buy", "1", price="1", time_in_force="IOC")
    stop = client.place("ETHUSDT", "sell", "1", kind="stop_limit", price="99", trigger_price="100")
    client.account.book.trigger(stop, client.exchange.source.shown)
    said = [one for one in events(settle(wire)) if one["e"] == "executionReport"]
    assert [(one["i"], one["x"], one["X"]) for one in said] == [
        (int(order), "NEW", "NEW"),
        (int(order), "REPLACED", "NEW"),
        (int(now), "NEW", "NEW"),
        (int(now), "EXPIRED", "EXPIRED"),
        (int(stop), "NEW", "NEW"),
        (int(stop), "NEW", "NEW"),
    ]
    assert said[1]["q"] == "0.50000000"
    assert said[3]["eR"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert [(one["o"], one["P"], one["w"]) for one in said[4:]] == [
        ("STOP_LOSS_LIMIT", "100.00000000", False),
        ("STOP_LOSS_LIMIT", "100.00000000", True),
    ]


def test_a_rejection_says_why_and_locks_nothing(client: Client, wire: Wire) -> None:
    order = client.place("BTCUSDT", "buy", "0.01", price="80000")
    settle(wire)
    book = client.account.book
    rejected = msgspec.structs.replace(book.orders[order], state="rejected")
    client.desk.half.told(client.account, Ordered(rejected, "rejected"))
    said, position = events(settle(wire))
    assert (said["x"], said["X"], said["r"]) == ("REJECTED", "REJECTED", "INSUFFICIENT_BALANCES")
    assert position["B"][1] == {"a": "USDT", "f": "100000.00000000", "l": "0.00000000"}


def test_a_market_stream_never_hears_an_account(client: Client, wire: Wire) -> None:
    market = Wire(client.exchange, "/ws")
    market.subscribe("main@account")
    client.place("BTCUSDT", "buy", "0.01", price="80000")
    assert len(settle(wire)) == 2
    assert market.conversation.streams == {"main@account": False}


@pytest.mark.parametrize(("kind", "amount", "change"), [("deposit", "5", "5"), ("withdrawal", "5", "-5")])
def test_what_comes_and_goes_is_told_and_then_how_it_stands(
    client: Client, wire: Wire, kind: str, amount: str, change: str
) -> None:
    strike(client.exchange, fault="transfer", kind=kind, asset="USDT", amount=amount)
    settle(wire)
    settle(wire)
    update, position = events(wire.heard)
    assert (update["e"], update["a"], Decimal(update["d"])) == ("balanceUpdate", "USDT", Decimal(change))
    assert [Decimal(one["f"]) for one in position["B"]] == [100_000 + Decimal(change)]
    path = {"deposit": "deposit/hisrec", "withdrawal": "withdraw/history"}[kind]
    (row,) = client.read(f"/sapi/v1/capital/{path}")
    assert (row["coin"], Decimal(row["amount"])) == ("USDT", Decimal(5))


def test_a_fee_is_paid_in_bnb_where_there_is_some() -> None:
    client = Client(still(make(spec(BINANCE_SPOT, balances={"USDT": "1000", "BNB": "1"}))))
    wire = client.subscribe()
    order = client.place("ETHUSDT", "buy", "0.1", price="3000")
    client.fill(order, "3000", "0.1", 7)
    *_, fill, position = events(settle(wire))
    assert (fill["n"], fill["N"]) == ("0.00025568", "BNB")
    assert [one["a"] for one in position["B"]] == ["ETH", "USDT", "BNB"]


def test_the_messages_have_the_keys_of_recorded_ones(captures: Path, client: Client, wire: Wire) -> None:
    reports, positions = [], []
    file = captures / "messages" / "binance_spot" / "order_lifecycle_2020_new_cancel.jsonl"
    for line in file.read_text().splitlines():
        entry = msgspec.json.decode(line)
        if entry["dir"] == "recv" and "executionReport" in entry["text"]:
            reports.append(msgspec.json.decode(entry["text"]))
        if entry["dir"] == "recv" and "outboundAccountPosition" in entry["text"]:
            positions.append(msgspec.json.decode(entry["text"]))
    order = client.place("BTCUSDT", "buy", "0.01", price="9000")
    client.account.book.cancel(order, client.exchange.source.shown)
    said = events(settle(wire))
    for ours, theirs in zip(said[::2], reports, strict=True):
        assert list(theirs) == [key for key in ours if key not in ("V", "W")]
        assert {key: type(value) for key, value in theirs.items()} == {key: type(ours[key]) for key in theirs}
    for ours, theirs in zip(said[1::2], positions, strict=True):
        assert list(ours) == list(theirs)
        assert [one.keys() for one in ours["B"]] == [one.keys() for one in theirs["B"]]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_of_a_trader_adds_up(seed: int) -> None:
    """Whatever happens: fills and balances told are those of the book, and locks those of open orders."""
    opening = {"USDT": "200000", "BTC": "1", "ETH": "20", "SOL": "100", "BNB": "3"}
    exchange = make(spec(BINANCE_SPOT, seed=seed, orders_per_minute=240, balances=opening))
    client = Client(exchange)
    wire = client.subscribe()
    wire.run(exchange.source.now + 180 * SECOND, step=SECOND)
    said, book = events(wire.heard), client.account.book
    told = {(one["s"], one["t"]): one for one in said if one.get("x") == "TRADE"}
    assert len(told) == len(book.fills) > 30
    for fill in book.fills:
        one = told[fill.symbol, fill.number]
        assert (Decimal(one["l"]), Decimal(one["L"]), Decimal(one["n"])) == (
            fill.quantity,
            fill.price,
            fill.fee,
        )
    states: dict[str, tuple[Decimal, Decimal]] = {}
    for one in said:
        if one["e"] == "outboundAccountPosition":
            states |= {row["a"]: (Decimal(row["f"]), Decimal(row["l"])) for row in one["B"]}
    assert all(free >= 0 and locked >= 0 for free, locked in states.values())
    account = {row["asset"]: row for row in client.read("/api/v3/account")["balances"]}
    for asset, (free, locked) in states.items():
        assert free + locked == book.balances[asset]
        assert (Decimal(account[asset]["free"]), Decimal(account[asset]["locked"])) == (free, locked)
    for asset, balance in book.balances.items():
        moved = sum((row.change for row in book.movements if row.asset == asset), Decimal(0))
        assert Decimal(opening.get(asset, "0")) + moved == balance
    ids = [(one["s"], one["I"]) for one in said if one["e"] == "executionReport"]
    assert len(set(ids)) == len(ids)
    last = {one["i"]: one["X"] for one in said if one["e"] == "executionReport"}
    open_ids = {row["orderId"] for row in client.read("/api/v3/openOrders")}
    assert {number for number, status in last.items() if status in ("NEW", "PARTIALLY_FILLED")} == open_ids
    assert {"NEW", "TRADE", "CANCELED", "REPLACED"} <= {one.get("x") for one in said}
