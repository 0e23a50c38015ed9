"""Deribit's private side in conversation: logins, scopes, channels, and what a stream says of a book."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamers.simulator.accounts.deribit_login import granted_scope
from streamers.simulator.hub import Close, Say
from streamers.simulator.listing import MINUTE, SECOND
from tests.streamers.simulator.accounts.desks import (
    Client,
    account_of,
    ask,
    exchange_with,
    prove,
    run,
    signature,
    spec,
)

CHANGES = "user.changes.any.any.raw"


@pytest.fixture
def one() -> Client:
    return Client(exchange_with(spec()))


@pytest.fixture
def quiet() -> Client:
    """Nobody trades but who is told."""
    client = Client(exchange_with(spec(orders_per_minute=0)))
    run(client.exchange, 5)
    return client


def test_the_signature_is_the_documented_one() -> None:
    expected = "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1"
    assert signature("AMANDASECRECT", "1576074319000\n1iqt2wls\n") == expected


def test_a_login_by_signature(one: Client) -> None:
    result = one.log_in()["result"]
    assert result["scope"] == "account:read connection mainaccount trade:read wallet:read"
    assert (result["token_type"], result["expires_in"]) == ("bearer", 31_536_000)
    assert one.call("private/get_positions")["result"] == []


@pytest.mark.parametrize(
    "wrong", [{"secret": "OTHER"}, {"key_id": "NOBODY"}, {"late_ms": 60_001}, {"late_ms": -60_001}]
)
def test_a_login_that_proves_nothing_is_refused(one: Client, wrong: dict[str, Any]) -> None:
    assert one.log_in(**wrong)["error"] == {"code": 13004, "message": "invalid_credentials"}
    assert one.call("private/get_positions")["error"]["code"] == 13009
    assert one.hear("user.changes.any.any.100ms") == []
    assert one.call("private/subscribe", channels=[CHANGES])["error"]["code"] == 13778


def test_a_login_a_minute_late_is_still_taken(one: Client) -> None:
    assert "result" in one.log_in(late_ms=60_000)


def test_by_secret_and_by_refresh_token(one: Client) -> None:
    asked = {"grant_type": "client_credentials", "client_id": "KEY"}
    assert one.call("public/auth", **asked, client_secret="x")["error"]["code"] == 13004
    first = one.call("public/auth", **asked, client_secret="SECRET", scope="session:me")["result"]
    assert "session:me" in first["scope"].split()
    again = one.call("public/auth", grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again["result"]["access_token"] != first["access_token"]
    bad = one.call("public/auth", grant_type="refresh_token", refresh_token="x")
    assert bad["error"]["code"] == 13004


@pytest.mark.parametrize(
    ("most", "asked", "granted"),
    [
        ("account:read trade:read", "", "account:read connection mainaccount trade:read"),
        ("account:read", "account:read trade:read", "account:read connection mainaccount"),
        ("trade:read", "trade:read_write", "connection mainaccount trade:read"),
        ("trade:read_write", "trade:read", "connection mainaccount trade:read"),
        ("trade:read wallet:read", "wallet:none trade:read", "connection mainaccount trade:read"),
    ],
)
def test_what_is_granted_may_be_narrower_than_what_is_asked(most: str, asked: str, granted: str) -> None:
    assert granted_scope(most, asked) == granted


def test_a_narrow_key_is_told_where_it_ends() -> None:
    client = Client(exchange_with(spec(scopes="trade:read")))
    assert client.log_in(scope="account:read trade:read")["result"]["scope"] == (
        "connection mainaccount trade:read"
    )
    refused = client.call("private/get_account_summaries")["error"]
    assert (refused["code"], refused["message"]) == (13403, "scope_exceeded")
    assert client.hear(CHANGES, "user.portfolio.any", "user.lock") == [CHANGES]


def test_a_token_ends(one: Client) -> None:
    bearer = f"Bearer {one.log_in(scope='expires:30')['result']['access_token']}"
    assert one.hear(CHANGES) == [CHANGES]
    run(one.exchange, 29)
    assert "result" in one.call("private/get_positions")
    assert "result" in ask(one.exchange, "private/get_positions", header=bearer)
    run(one.exchange, 2)
    assert ask(one.exchange, "private/get_positions", header=bearer)["error"]["code"] == 13009
    assert one.call("private/get_positions")["error"]["code"] == 13009
    assert one.conversation.streams == {}


def test_subscribe_answers_what_is_really_subscribed(one: Client) -> None:
    assert one.hear("user.portfolio.any") == []
    one.log_in()
    asked = ["user.portfolio.any", "user.nonsense", CHANGES, "user.lock", "user.access_log", "trades.X.raw"]
    taken = ["user.portfolio.any", CHANGES, "user.lock", "user.access_log"]
    assert one.hear(*asked) == taken
    assert one.hear("user.orders.BTC-PERPETUAL.raw", "quote.BTC-PERPETUAL", "user.orders.X.raw") == [
        "user.orders.BTC-PERPETUAL.raw",
        "quote.BTC-PERPETUAL",
    ]
    gone = one.call("private/unsubscribe", channels=["user.lock", "user.portfolio.btc"])["result"]
    assert gone == ["user.lock"]


def test_nobody_hears_of_another_account() -> None:
    exchange = exchange_with(spec(), spec(name="other", key_id="OTHER", orders_per_minute=0))
    one, other = Client(exchange), Client(exchange)
    one.log_in()
    other.log_in(key_id="OTHER")
    for client in (one, other):
        assert client.hear(CHANGES) == [CHANGES]
    one.run(exchange.source.now + MINUTE)
    assert other.data(CHANGES) == []
    assert account_of(exchange).book.orders
    assert [json.loads(text) for text in one.texts if CHANGES in text]


def test_the_stream_says_everything_of_the_book(one: Client) -> None:
    """Orders, trades and positions as heard are those of the book, to the last digit."""
    one.log_in()
    one.hear(CHANGES)
    one.run(one.exchange.source.now + 10 * MINUTE)
    book = account_of(one.exchange).book
    texts = [json.loads(t, parse_float=Decimal) for t in one.texts if f'"channel":"{CHANGES}"' in t]
    heard = [text["params"]["data"] for text in texts]
    trades = [trade for data in heard for trade in data["trades"]]
    assert len(trades) > 50
    assert [(t["trade_id"], t["order_id"], t["trade_seq"], t["fee"]) for t in trades] == [
        (f.fill_id, f.order_id, f.number, f.fee) for f in book.fills
    ]
    last = {order["order_id"]: order for data in heard for order in data["orders"]}
    assert {name: order["order_state"] for name, order in last.items()} == {
        name: order.state for name, order in book.orders.items()
    }
    assert {order["order_state"] for order in last.values()} >= {"filled", "cancelled", "triggered"}
    positions = {one["instrument_name"]: one for data in heard for one in data["positions"]}
    assert {name: position["size"] for name, position in positions.items()} == {
        symbol: position.quantity for (symbol, _), position in book.positions.items()
    }
    prove(book)


def test_an_order_is_partly_filled_while_it_is_open(one: Client) -> None:
    one.log_in()
    one.hear("user.orders.any.any.raw", "user.orders.any.any.100ms", "user.trades.any.any.raw")
    one.run(one.exchange.source.now + 10 * MINUTE)
    orders = one.data("user.orders.any.any.raw")
    partial = [
        o for o in orders if o["order_state"] == "open" and 0 < o.get("filled_amount", 0) < o["amount"]
    ]
    assert partial
    assert [[order] for order in orders] == one.data("user.orders.any.any.100ms")
    assert all(isinstance(trades, list) for trades in one.data("user.trades.any.any.raw"))


def test_a_stop_is_over_when_it_makes_another_order(quiet: Client) -> None:
    quiet.log_in()
    quiet.hear(CHANGES)
    trader = account_of(quiet.exchange).trader
    last = trader.floor.pits["BTC-PERPETUAL"].last
    above = Decimal(last + 5) / 10
    stop = trader.place("BTC-PERPETUAL", "buy", Decimal(100), kind="stop_market", trigger_price=above)
    quiet.run(quiet.exchange.source.now + 10 * MINUTE)
    heard = [order for data in quiet.data(CHANGES) for order in data["orders"]]
    first, over, child = heard[:3]
    assert (first["order_id"], first["order_state"], first["price"]) == (
        stop.order_id,
        "untriggered",
        "market_price",
    )
    assert "filled_amount" not in first
    assert (over["order_id"], over["order_state"]) == (stop.order_id, "triggered")
    assert child["trigger_order_id"] == stop.order_id
    assert child["order_id"] != stop.order_id
    assert heard[-1]["order_state"] == "filled"


def test_the_portfolio_is_said_once_a_second_while_it_changes(quiet: Client) -> None:
    quiet.log_in()
    assert quiet.hear("user.portfolio.any") == ["user.portfolio.any"]
    start = quiet.exchange.source.now
    quiet.run(start + 3 * SECOND)
    assert sorted(data["currency"] for data in quiet.data("user.portfolio.any")) == ["BTC", "ETH", "USDC"]
    account_of(quiet.exchange).trader.place("BTC-PERPETUAL", "buy", Decimal(10_000), kind="market")
    quiet.run(start + 63 * SECOND)
    told = [data for data in quiet.data("user.portfolio.any") if data["currency"] == "BTC"]
    assert 20 < len(told) <= 61
    for data in told:
        total = Decimal(str(data["balance"])) + Decimal(str(data["session_rpl"]))
        assert total + Decimal(str(data["session_upl"])) == Decimal(str(data["equity"]))


def test_a_market_that_was_paused_has_told_everything(quiet: Client) -> None:
    """The last order of all is in the last portfolio."""
    quiet.log_in()
    quiet.hear("user.portfolio.any", CHANGES)
    quiet.run(quiet.exchange.source.now + 2 * SECOND)
    account_of(quiet.exchange).trader.place("BTC-PERPETUAL", "buy", Decimal(10_000), kind="market")
    quiet.exchange.paused = True
    for conversation, one in quiet.exchange.step(quiet.exchange.source.now, 5.0):
        assert conversation is quiet.conversation
        assert isinstance(one, str)
        quiet.take([Say(one)])
    book = account_of(quiet.exchange).book
    assert book.fills
    assert book.fills[0].fill_id in quiet.texts[-2] + quiet.texts[-1]
    last = [data for data in quiet.data("user.portfolio.any") if data["currency"] == "BTC"][-1]
    assert Decimal(str(last["balance"])) == book.balances["BTC"] < 10


def test_logins_stand_in_the_access_log(quiet: Client) -> None:
    quiet.log_in()
    quiet.hear("user.access_log")
    Client(quiet.exchange).log_in()
    Client(quiet.exchange).log_in(secret="x")
    quiet.run(quiet.exchange.source.now + SECOND)
    assert [data["log"] for data in quiet.data("user.access_log")][-2:] == ["success", "failure"]


def test_the_ledger_s_own_credits_run_out(quiet: Client) -> None:
    quiet.log_in()
    asked = {"currency": "BTC", "start_timestamp": 0, "end_timestamp": 1}
    answers = [quiet.call("private/get_transaction_log", **asked) for _ in range(9)]
    assert all("result" in one for one in answers[:8])
    assert answers[8]["error"]["code"] == 10028
    assert isinstance(quiet.instructions[-1], Close)
    assert "result" in Client(quiet.exchange).call("public/get_time")


def test_over_http_too(quiet: Client) -> None:
    asked = {"currency": "BTC", "start_timestamp": 0, "end_timestamp": 1}
    answers = [ask(quiet.exchange, "private/get_transaction_log", **asked) for _ in range(9)]
    assert [one["status"] for one in answers] == [200] * 8 + [429]


def test_http_is_signed(quiet: Client) -> None:
    assert ask(quiet.exchange, "private/get_positions")["result"] == []
    wrong = ask(quiet.exchange, "private/get_positions", secret="x")
    assert (wrong["status"], wrong["error"]["code"]) == (400, 13009)
    assert ask(quiet.exchange, "private/get_positions", late_ms=60_001)["error"]["code"] == 13009
    assert ask(quiet.exchange, "private/get_positions", header="")["error"]["code"] == 10000
    token = quiet.log_in()["result"]["access_token"]
    assert ask(quiet.exchange, "private/get_positions", header=f"Bearer {token}")["result"] == []
    assert ask(quiet.exchange, "private/get_positions", header="Bearer x")["error"]["code"] == 13009


def test_without_accounts_everything_private_is_refused(wire: Any) -> None:
    client = wire("deribit")
    asked = {"jsonrpc": "2.0", "id": 1, "method": "private/get_positions"}
    assert client.say(asked)["error"]["code"] == 13009
    assert ask(client.exchange, "private/get_positions")["error"]["code"] == 13009


def test_books_survive_a_restart(tmp_path: Path) -> None:
    exchange = exchange_with(spec(), folder=tmp_path)
    run(exchange, 300)
    book = account_of(exchange).book
    again = account_of(exchange_with(spec(), folder=tmp_path, start=exchange.source.now)).book
    assert again.orders == book.orders
    assert again.fills == book.fills
    assert (again.balances, again.opening) == (book.balances, book.opening)
    assert again.positions == book.positions
    assert again.movements == book.movements
    assert [one.order_id for one in again.waiting()] == [one.order_id for one in book.waiting()]
