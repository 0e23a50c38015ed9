"""Deribit's private methods: what they tell, how far back, and how many at once."""

from __future__ import annotations

from decimal import Decimal
from itertools import count, pairwise
from typing import Any

import pytest

from streamers.simulator.accounts.book_shapes import SimOrder
from streamers.simulator.accounts.deribit import DAY, EIGHT
from streamers.simulator.accounts.deribit_histories import ARCHIVE_DELAY
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.faults import Fault
from streamers.simulator.listing import DERIBIT, MINUTE, SECOND
from tests.streamers.simulator.accounts.desks import account_of, ask, exchange_with, prove, run, spec
from tests.streamers.simulator.conftest import START


@pytest.fixture(scope="module")
def traded() -> SimulatedExchange:
    """An account that traded for forty minutes."""
    exchange = exchange_with(spec(orders_per_minute=60))
    run(exchange, 2400)
    return exchange


_seconds = count(1)


def answer(exchange: SimulatedExchange, method: str, **params: Any) -> Any:
    """Asked slowly enough for all limits."""
    return ask(exchange, f"private/{method}", now=10.0 * next(_seconds), **params)


def result(exchange: SimulatedExchange, method: str, **params: Any) -> Any:
    return answer(exchange, method, **params)["result"]


def closed(exchange: SimulatedExchange) -> list[SimOrder]:
    return [one for one in account_of(exchange).book.orders.values() if not one.waits]


def test_open_orders_are_those_that_wait_triggers_included(traded: SimulatedExchange) -> None:
    waiting = account_of(traded).book.waiting()
    told = result(traded, "get_open_orders")
    assert [one["order_id"] for one in told] == [one.order_id for one in waiting]
    triggers = result(traded, "get_open_orders", type="trigger_all")
    assert {one["order_state"] for one in triggers} <= {"untriggered"}
    by_currency = [
        one["order_id"]
        for currency in ("BTC", "ETH", "USDC")
        for one in result(traded, "get_open_orders_by_currency", currency=currency)
    ]
    assert sorted(by_currency) == sorted(one.order_id for one in waiting)
    for one in result(traded, "get_open_orders_by_instrument", instrument_name="BTC-PERPETUAL"):
        assert one["instrument_name"] == "BTC-PERPETUAL"


def test_an_order_is_told_by_its_id(traded: SimulatedExchange) -> None:
    order = closed(traded)[0]
    assert result(traded, "get_order_state", order_id=order.order_id)["order_state"] == order.state
    assert answer(traded, "get_order_state", order_id="x")["error"]["code"] == 10004
    assert answer(traded, "get_order_state")["error"]["code"] == -32602


def history(exchange: SimulatedExchange, **params: Any) -> set[str]:
    rows = [
        row
        for currency in ("BTC", "ETH", "USDC")
        for row in result(exchange, "get_order_history_by_currency", currency=currency, count=1000, **params)
    ]
    return {row["order_id"] for row in rows}


def test_the_order_history_is_split(traded: SimulatedExchange) -> None:
    """Live: half an hour; archive: all but the newest. Only both together are everything."""
    now, orders = traded.source.shown, closed(traded)
    live = history(traded, include_unfilled="true")
    archive = history(traded, include_unfilled="true", historical="true")
    assert live == {one.order_id for one in orders if one.updated >= now - 30 * MINUTE}
    assert archive == {one.order_id for one in orders if one.updated <= now - ARCHIVE_DELAY}
    everything = {one.order_id for one in orders}
    assert live | archive == everything
    assert live != everything != archive
    filled = history(traded) | history(traded, historical="true")
    assert filled == {one.order_id for one in orders if one.filled}


def test_the_order_history_comes_in_pages_newest_first(traded: SimulatedExchange) -> None:
    asked = {"currency": "BTC", "include_unfilled": "true", "count": 7, "with_continuation": "true"}
    found, mark = [], ""
    while True:
        page = result(traded, "get_order_history_by_currency", continuation=mark, **asked)
        found += page["orders"]
        mark = page["continuation"]
        if mark is None:
            break
        assert len(page["orders"]) == 7
    assert len(found) > 30
    assert len({one["order_id"] for one in found}) == len(found)
    assert all(a["last_update_timestamp"] >= b["last_update_timestamp"] for a, b in pairwise(found))
    second = result(
        traded, "get_order_history_by_currency", **(asked | {"with_continuation": "", "offset": 7})
    )
    assert second == found[7:14]
    refused = answer(traded, "get_order_history_by_currency", currency="BTC", count=1001)
    assert refused["error"]["code"] == -32602


def test_triggers_have_a_history_of_their_own(traded: SimulatedExchange) -> None:
    entries = result(traded, "get_trigger_order_history", currency="any", count=1000)["entries"]
    triggered = [one for one in entries if one["order_state"] == "triggered"]
    assert triggered
    orders = account_of(traded).book.orders
    for one in triggered:
        assert orders[one["order_id"]].parent_id == one["trigger_order_id"]


def test_trades_come_in_pages_either_way(traded: SimulatedExchange) -> None:
    fills = [one for one in account_of(traded).book.fills if one.symbol == "BTC-PERPETUAL"]
    asked = {"instrument_name": "BTC-PERPETUAL", "sorting": "asc", "count": 10}
    found: list[Any] = []
    more = True
    while more:
        first = found[-1]["trade_seq"] + 1 if found else 0
        page = result(traded, "get_user_trades_by_instrument", start_seq=first, **asked)
        found, more = found + page["trades"], page["has_more"]
    assert [(one["trade_id"], one["order_id"]) for one in found] == [(f.fill_id, f.order_id) for f in fills]
    newest = result(traded, "get_user_trades_by_instrument", instrument_name="BTC-PERPETUAL")
    assert newest["has_more"]
    assert [one["trade_id"] for one in newest["trades"]] == [f.fill_id for f in reversed(fills)][:10]
    for told, fill in zip(found, fills, strict=True):
        assert (told["fee"], told["profit_loss"]) == (fill.fee, fill.realized)
        assert told["liquidity"] == ("M" if fill.maker else "T")
    middle = fills[len(fills) // 2].time // 1000
    since = result(
        traded,
        "get_user_trades_by_instrument_and_time",
        instrument_name="BTC-PERPETUAL",
        start_timestamp=middle,
        end_timestamp=traded.source.shown // 1000,
        count=1000,
    )["trades"]
    assert len(since) == len([f for f in fills if f.time // 1000 >= middle])
    by_order = result(traded, "get_user_trades_by_order", order_id=fills[0].order_id)
    assert [one["trade_id"] for one in by_order] == [
        f.fill_id for f in account_of(traded).book.fills_of(fills[0].order_id)
    ]


def test_live_trades_reach_back_one_day_and_the_archive_lacks_the_newest() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    book, now = account_of(exchange).book, exchange.source.shown
    for number, time in enumerate((now - 25 * 60 * MINUTE, now - 10 * MINUTE, now - 10 * SECOND), 1):
        order = book.place("BTC-PERPETUAL", "buy", Decimal(10), time, kind="market")
        book.execute(order.order_id, Decimal(92_000), Decimal(10), time, number=number, maker=False)
    old, middle, new = (one.order_id for one in book.fills)

    def orders(**params: Any) -> list[str]:
        told = result(exchange, "get_user_trades_by_currency", currency="BTC", **params)["trades"]
        return [one["order_id"] for one in told]

    assert orders() == [new, middle]
    assert orders(historical="true") == [middle, old]


def test_what_is_held_is_what_the_book_holds(traded: SimulatedExchange) -> None:
    book = account_of(traded).book
    told = {one["instrument_name"]: one for one in result(traded, "get_positions", currency="any")}
    held = {symbol: one for (symbol, _), one in book.positions.items()}
    assert {name: one["size"] for name, one in told.items()} == {
        name: one.quantity for name, one in held.items()
    }
    for name, one in told.items():
        sign = {"buy": 1, "sell": -1, "zero": 0}[one["direction"]]
        assert (one["size"] > 0) - (one["size"] < 0) == sign
        assert abs(one["average_price"] - held[name].entry) < Decimal("0.000001")
    single = result(traded, "get_position", instrument_name="BTC-PERPETUAL")
    assert single["size"] == held["BTC-PERPETUAL"].quantity
    summaries = result(traded, "get_account_summaries", extended="true")
    assert summaries["username"] == "main"
    money = {one["currency"]: one for one in summaries["summaries"]}
    assert {name: one["balance"] for name, one in money.items()} == book.balances
    for name, one in money.items():
        assert one["equity"] == one["balance"] + one["session_rpl"] + one["session_upl"]
        assert result(traded, "get_account_summary", currency=name)["balance"] == one["balance"]


def ledger(exchange: SimulatedExchange, currency: str, most: int = 250) -> list[Any]:
    rows: list[Any] = []
    mark: Any = ""
    while mark is not None:
        page = result(
            exchange,
            "get_transaction_log",
            currency=currency,
            start_timestamp=0,
            end_timestamp=exchange.source.shown // 1000,
            count=most,
            continuation=mark,
        )
        assert len(page["logs"]) == most or page["continuation"] is None
        rows += page["logs"]
        mark = page["continuation"]
    return rows


def test_the_ledger_adds_up_and_counts_without_a_hole(traded: SimulatedExchange) -> None:
    book = account_of(traded).book
    rows = [row for currency in book.balances for row in ledger(traded, currency, 40)]
    assert sorted(row["user_seq"] for row in rows) == list(range(1, len(book.movements) + 1))
    for currency, balance in book.balances.items():
        own = ledger(traded, currency)
        assert [row["user_seq"] for row in own] == sorted((row["user_seq"] for row in own), reverse=True)
        assert book.opening[currency] + sum(row["change"] for row in own) == balance
        assert own[0]["balance"] == balance
        assert all(a["balance"] == b["balance"] + a["change"] for a, b in pairwise(own))
    asked = {"currency": "BTC", "start_timestamp": 0, "end_timestamp": 1, "count": 251}
    refused = answer(traded, "get_transaction_log", **asked)
    assert refused["error"]["code"] == -32602


def test_what_crosses_zero_is_two_rows(traded: SimulatedExchange) -> None:
    rows = [row for currency in ("BTC", "ETH", "USDC") for row in ledger(traded, currency)]
    by_trade: dict[Any, list[Any]] = {}
    for row in rows:
        by_trade.setdefault((row["trade_id"], row["order_id"]), []).append(row)
    double = [pair for pair in by_trade.values() if len(pair) == 2]
    assert double
    fills = {(one.fill_id, one.order_id): one for one in account_of(traded).book.fills}
    for key, pair in by_trade.items():
        fill = fills[key]
        assert sum(row["amount"] for row in pair) == fill.quantity
        assert -sum(row["change"] for row in pair) == fill.fee == sum(row["commission"] for row in pair)
    for opened, ended in double:
        assert (opened["side"].split()[0], ended["side"].split()[0]) == ("open", "close")
        assert ended["position"] == 0


def test_settlement_pays_the_session_out() -> None:
    eight = (START // DAY + 1) * DAY + EIGHT
    exchange = exchange_with(spec(), start=eight - 5 * MINUTE)
    run(exchange, 301)
    book = account_of(exchange).book
    prove(book)
    settled = [one for one in book.movements if one.kind == "settlement"]
    assert {one.symbol for one in settled} == {symbol for symbol, _ in book.positions}
    assert all(not one.session_realized or one.updated > settled[-1].time for one in book.positions.values())
    rows = [row for row in ledger(exchange, "BTC") if row["type"] == "settlement"]
    for row in rows:
        assert row["change"] == row["session_rpl"] + row["session_upl"]
        assert row["cashflow"] == row["change"]
    told = result(exchange, "get_settlement_history_by_currency", currency="BTC", type="settlement")
    assert [one["profit_loss"] for one in told["settlements"]] == [row["change"] for row in rows]


def test_money_in_and_out_is_told_by_kind() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    for kind, amount in (("deposit", "2"), ("withdrawal", "0.5"), ("transfer", "-0.25")):
        exchange.faults.add(Fault(fault="transfer", kind=kind, amount=amount, asset="BTC"))
    run(exchange, 1)
    assert account_of(exchange).book.balances["BTC"] == Decimal("11.25")
    for kind, amount in (("deposits", "2"), ("withdrawals", "0.5"), ("transfers", "0.25")):
        told = result(exchange, f"get_{kind}", currency="BTC")
        assert (told["count"], told["data"][0]["amount"]) == (1, Decimal(amount))
        assert result(exchange, f"get_{kind}", currency="ETH")["count"] == 0
    assert result(exchange, "get_transfers", currency="BTC")["data"][0]["direction"] == "payment"
    rows = ledger(exchange, "BTC")
    assert [(row["type"], row["change"]) for row in rows] == [
        ("transfer", Decimal("-0.25")),
        ("withdrawal", Decimal("-0.5")),
        ("deposit", Decimal(2)),
    ]


def test_a_key_tells_what_it_may_do() -> None:
    exchange = exchange_with(spec(permissions={"withdraw": True, "trade": False, "ip_restricted": False}))
    (key,) = result(exchange, "list_api_keys")
    assert (key["client_id"], key["enabled"], key["ip_whitelist"]) == ("KEY", True, [])
    assert "wallet:read_write" in key["max_scope"].split()


def test_what_there_is_not(traded: SimulatedExchange) -> None:
    assert answer(traded, "dance")["error"]["code"] == -32601
    unknown = answer(traded, "get_position", instrument_name="X")
    assert unknown["error"]["code"] == 13020
    assert traded.key == DERIBIT


def test_what_expires_is_delivered() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    run(exchange, 5)
    symbol = next(name for name in exchange.source.instruments() if name.startswith("BTC-25DEC26"))
    trader, book = account_of(exchange).trader, account_of(exchange).book
    trader.place(symbol, "buy", Decimal(10), kind="market")
    waiting = trader.place(symbol, "buy", Decimal(10), price=Decimal(1000))
    while not book.held(symbol).quantity:
        run(exchange, 1)
    exchange.faults.add(Fault(fault="expiry", symbol=symbol))
    run(exchange, 3)
    assert book.orders[waiting.order_id].state == "cancelled"
    assert not book.held(symbol).quantity
    (row,) = [row for row in ledger(exchange, "BTC") if row["type"] == "delivery"]
    assert (row["instrument_name"], row["amount"], row["position"]) == (symbol, 10, 0)
    told = result(exchange, "get_settlement_history_by_currency", currency="BTC", type="delivery")
    assert [one["profit_loss"] for one in told["settlements"]] == [row["change"]]
    assert result(exchange, "get_positions", currency="any") == []
