"""Faults of accounts: each takes effect, is counted, and harms what a client is told, never the book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from streamers.simulator.accounts.faults import LASTING, OWED
from streamers.simulator.faults import ACCOUNT_NAMES, Fault, objection
from streamers.simulator.hub import Close
from streamers.simulator.listing import BINANCE_SPOT, DERIBIT, MINUTE, SECOND
from tests.streamers.simulator.accounts.desks import Client, account_of, ask, exchange_with, prove, run, spec

CHANGES = "user.changes.any.any.raw"


@pytest.fixture
def one() -> Client:
    client = Client(exchange_with(spec(orders_per_minute=60)))
    client.log_in()
    client.hear(CHANGES, "user.portfolio.any")
    return client


def strike(client: Client, name: Any, **fields: Any) -> None:
    client.exchange.faults.add(Fault(fault=name, **fields))


def effect(client: Client, name: str) -> int:
    return client.exchange.state()["faults"].get(name, 0)


def keys(client: Client) -> list[tuple[str, str, Any]]:
    """What each message of orders is, in the order heard."""
    return [
        (one["order_id"], one["order_state"], one.get("filled_amount"))
        for data in client.data(CHANGES)
        for one in data["orders"]
    ]


def calm(seconds: int) -> list[tuple[str, str, Any]]:
    """What a client hears where nothing is wrong."""
    client = Client(exchange_with(spec(orders_per_minute=60)))
    client.log_in()
    client.hear(CHANGES)
    client.run(client.exchange.source.now + seconds * SECOND)
    return keys(client)


def heard(name: str, count: int) -> tuple[Client, list[tuple[str, str, Any]]]:
    client = Client(exchange_with(spec(orders_per_minute=60)))
    client.log_in()
    client.hear(CHANGES)
    strike(client, name, count=count)
    client.run(client.exchange.source.now + 60 * SECOND)
    assert effect(client, name) == count
    prove(account_of(client.exchange).book)
    return client, keys(client)


def test_what_is_missed_is_in_the_book_and_was_not_heard() -> None:
    whole = calm(60)
    client, told = heard("private_missed", 3)
    assert len(told) == len(whole) - 3
    assert len(account_of(client.exchange).book.orders) > 10


def test_what_comes_twice_comes_twice() -> None:
    whole = calm(60)
    _, told = heard("private_duplicate", 2)
    assert len(told) == len(whole) + 2
    assert set(told) == set(whole)


def test_a_fault_may_be_aimed_at_what_is_said(one: Client) -> None:
    """At the next text that tells a trade of one instrument."""
    strike(one, "private_missed", channel='"trade_id"', symbol="ETH-PERPETUAL")
    one.run(one.exchange.source.now + MINUTE)
    fills = account_of(one.exchange).book.fills
    told = {trade["trade_id"] for data in one.data(CHANGES) for trade in data["trades"]}
    missed = [fill for fill in fills if fill.fill_id not in told]
    assert [fill.symbol for fill in missed] == ["ETH-PERPETUAL"]
    assert effect(one, "private_missed") == 1


def test_what_is_reordered_is_all_there() -> None:
    whole = calm(60)
    _, told = heard("private_reorder", 2)
    assert told != whole
    assert sorted(map(str, told)) == sorted(map(str, whole))


def test_rest_stays_behind_for_its_seconds(one: Client) -> None:
    strike(one, "rest_behind", seconds=5)
    one.run(one.exchange.source.now + SECOND, now=100.0)
    book = account_of(one.exchange).book
    before = len(book.fills)
    one.run(one.exchange.source.now + MINUTE, now=101.0)
    assert len(book.fills) > before
    asked = {"currency": "any", "count": 1000}
    stale = ask(one.exchange, "private/get_user_trades_by_currency", **asked)["result"]["trades"]
    assert len(stale) == before
    one.run(one.exchange.source.now + SECOND, now=200.0)
    fresh = ask(one.exchange, "private/get_user_trades_by_currency", **asked)["result"]["trades"]
    assert len(fresh) == len(book.fills)
    assert effect(one, "rest_behind") == 1


def test_a_lost_page_lacks_half_of_its_rows_once(one: Client) -> None:
    one.run(one.exchange.source.now + MINUTE)
    strike(one, "rest_page_lost")
    one.run(one.exchange.source.now + 1)
    asked = {"currency": "any", "count": 1000}
    short = ask(one.exchange, "private/get_user_trades_by_currency", **asked)["result"]
    whole = ask(one.exchange, "private/get_user_trades_by_currency", **asked)["result"]
    assert len(short["trades"]) == len(whole["trades"]) // 2 > 0
    assert not short["has_more"]


@pytest.mark.parametrize("notice", [True, False])
def test_an_expired_key_is_deaf_until_it_logs_in_again(one: Client, notice: bool) -> None:
    one.run(one.exchange.source.now + 10 * SECOND)
    strike(one, "key_expired", notice=notice)
    one.run(one.exchange.source.now + 1)
    errors = [text["error"] for text in one.heard if "error" in text]
    assert [error["code"] for error in errors] == ([11052] if notice else [])
    count = len(one.data(CHANGES))
    one.run(one.exchange.source.now + MINUTE)
    assert len(one.data(CHANGES)) == count > 0
    assert one.call("private/get_positions")["error"]["code"] == 13009
    one.log_in()
    assert one.hear(CHANGES) == [CHANGES]
    one.run(one.exchange.source.now + MINUTE)
    assert len(one.data(CHANGES)) > count


def test_a_revoked_key_never_comes_in_again(one: Client) -> None:
    strike(one, "key_revoked")
    one.run(one.exchange.source.now + 1)
    assert one.instructions == [Close(1000, "logout")]
    assert Client(one.exchange).log_in()["error"]["code"] == 13004
    assert ask(one.exchange, "private/get_positions")["error"]["code"] == 13004


def test_a_login_is_refused_for_a_time(one: Client) -> None:
    strike(one, "auth_refused", seconds=5)
    one.run(one.exchange.source.now + 1, now=10.0)
    client = Client(one.exchange)
    stamp = {"grant_type": "client_credentials", "client_id": "KEY", "client_secret": "SECRET"}
    assert client.call("public/auth", now=12.0, **stamp)["error"]["code"] == 13004
    assert "result" in client.call("public/auth", now=16.0, **stamp)


def test_a_lost_trader_s_orders_are_cancelled(one: Client) -> None:
    one.run(one.exchange.source.now + MINUTE)
    book = account_of(one.exchange).book
    waiting = {order.order_id for order in book.waiting()}
    assert waiting
    strike(one, "cancel_on_disconnect")
    one.run(one.exchange.source.now + 2, step=1)
    assert {book.orders[order_id].reason for order_id in waiting} == {"cancel_on_disconnect"}
    told = [o for data in one.data(CHANGES) for o in data["orders"] if o.get("cancel_reason")]
    assert {o["order_id"] for o in told if o["cancel_reason"] == "cancel_on_disconnect"} == waiting


def test_a_liquidated_position_is_closed_by_the_exchange(one: Client) -> None:
    trader, book = account_of(one.exchange).trader, account_of(one.exchange).book
    one.run(one.exchange.source.now + 5 * SECOND)
    trader.place("BTC-PERPETUAL", "buy", Decimal(20_000), kind="market")
    one.run(one.exchange.source.now + 5 * SECOND)
    strike(one, "liquidation", symbol="BTC-PERPETUAL")
    one.run(one.exchange.source.now + 30 * SECOND)
    fills = [fill for fill in book.fills if fill.liquidation]
    assert fills
    trades = [trade for data in one.data(CHANGES) for trade in data["trades"] if trade.get("liquidation")]
    assert [trade["trade_id"] for trade in trades] == [fill.fill_id for fill in fills]
    assert {trade["order_type"] for trade in trades} == {"liquidation"}
    prove(book)


def test_funding_waits_for_the_settlement_which_pays_it(one: Client) -> None:
    one.run(one.exchange.source.now + 30 * SECOND)
    account = account_of(one.exchange)
    strike(one, "funding", amount="1")
    one.run(one.exchange.source.now + 1)
    owed = {
        asset: sum(
            (one.session_funding for one in account.book.positions.values() if one.asset == asset), Decimal(0)
        )
        for asset in account.book.balances
    }
    assert any(owed.values())
    strike(one, "settlement", seconds=1)
    one.run(one.exchange.source.now + SECOND)
    for asset, due in owed.items():
        rows = [row for row in account.book.movements if (row.kind, row.asset) == ("settlement", asset)]
        assert sum((row.funding or Decimal(0) for row in rows), Decimal(0)) == due
    prove(account.book)


def test_a_transfer_moves_money(one: Client) -> None:
    book = account_of(one.exchange).book
    before = book.balances["ETH"]
    strike(one, "transfer", asset="ETH", amount="-3.5")
    one.run(one.exchange.source.now + 1)
    (row,) = [row for row in book.movements if row.kind == "transfer"]
    assert (row.asset, row.change, row.balance) == ("ETH", Decimal("-3.5"), before - Decimal("3.5"))
    prove(book)


def test_only_the_named_account_is_struck() -> None:
    exchange = exchange_with(spec(orders_per_minute=0), spec(name="b", key_id="B", orders_per_minute=0))
    exchange.faults.add(Fault(fault="transfer", account="b", amount="1"))
    run(exchange, 1)
    assert account_of(exchange).book.movements == []
    assert len(account_of(exchange, "b").book.movements) == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fault": "transfer", "account": "nobody"}, "There is no account nobody here, only main."),
        ({"fault": "transfer", "amount": "much"}, "'much' is no amount."),
        ({"fault": "transfer", "amount": "NaN"}, "'NaN' is no amount."),
    ],
)
def test_what_cannot_be_is_objected_to(fields: dict[str, Any], says: str) -> None:
    assert exchange_with(spec()).objection(Fault(**fields)) == says


def test_without_accounts_there_is_nothing_to_strike() -> None:
    exchange = exchange_with()
    assert exchange.desk is None
    for name in ACCOUNT_NAMES:
        assert exchange.objection(Fault(fault=name))
    assert "--accounts" in exchange.objection(Fault(fault="transfer"))
    assert set(exchange.state()["faults"]).isdisjoint(ACCOUNT_NAMES)


def test_some_faults_are_of_some_exchanges() -> None:
    assert "only binance_usdm" in objection(Fault(fault="listen_key_expired"), DERIBIT)
    assert objection(Fault(fault="funding"), BINANCE_SPOT)
    assert {*OWED, *LASTING} < set(ACCOUNT_NAMES)
