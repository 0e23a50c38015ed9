"""Our sessions and questions against the simulated exchange, which was written from the reference alone:

what we know of an account is what its book says, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from streamers.simulator.accounts.book_shapes import SimOrder
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM
from tests.exchanges.binance.private.wired import SECOND, Wired
from tests.streamers.simulator.accounts.binance import Client, edwards, make, spec, still, strike
from trade_platform.domain.account_books import KEYS, books_of
from trade_platform.domain.accounts import (
    AccountNote,
    AccountRecord,
    Balance,
    Fill,
    Movement,
    NoteKind,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.exchanges.account import Known
from trade_platform.exchanges.binance.private import walk
from trade_platform.exchanges.session import Reason, RestError

R = TypeVar("R")
MINUTES = 60
HOUR = 60 * MINUTES
BUSY = {"orders_per_minute": 60}
PLAIN = ("limit", "market")


def of(kind: type[R], records: Iterable[AccountRecord]) -> list[R]:
    return [one for one in records if isinstance(one, kind)]


def latest(kind: type[R], records: Iterable[AccountRecord]) -> dict[str, R]:
    """By key, what was told last."""
    return {KEYS[kind](one): one for one in of(kind, records)}


def name_of(order: SimOrder, exchange: str) -> str:
    conditional = exchange == BINANCE_USDM and order.kind not in PLAIN
    return f"algo-{order.order_id}" if conditional else order.order_id


def order_facts(wired: Wired) -> dict[str, tuple[Any, ...]]:
    """Of all orders of the book."""
    book, exchange = wired.client.account.book, wired.exchange.key
    return {
        f"{one.symbol}|{name_of(one, exchange)}": (
            one.state,
            one.side,
            one.quantity,
            one.filled,
            one.price,
            None if one.parent_id else one.trigger_price,
            one.updated // 1000 * 1000,
            one.reduce_only,
        )
        for one in book.orders.values()
    }


def ours(orders: Iterable[OrderEvent]) -> dict[str, tuple[Any, ...]]:
    """The same of what we know."""
    return {
        KEYS[OrderEvent](one): (
            one.state.value,
            one.side.value,
            one.quantity,
            one.filled,
            one.price,
            one.trigger_price,
            one.event_time,
            one.reduce_only,
        )
        for one in orders
    }


def alike(told: dict[str, tuple[Any, ...]], true: dict[str, tuple[Any, ...]]) -> None:
    """A conditional order's own moment is that of what it made, and it is not filled itself."""
    assert told.keys() == true.keys()
    for key, fact in told.items():
        if "algo-" in key:
            assert fact[:3] + fact[4:6] == true[key][:3] + true[key][4:6], key
        else:
            assert fact == true[key], key


def fills_told(fills: Iterable[Fill]) -> set[tuple[Any, ...]]:
    return {
        (
            one.symbol, one.fill_id, one.order_id, one.side.value, one.price, one.quantity, one.fee,
            one.fee_asset, one.maker, one.realized_pnl, one.event_time, one.sequence,
        )
        for one in fills
    }  # fmt: skip


def fills_true(wired: Wired) -> set[tuple[Any, ...]]:
    return {
        (
            one.symbol, str(one.number), one.order_id, one.side, one.price, one.quantity, one.fee,
            one.fee_asset, one.maker, one.realized, one.time // 1000 * 1000, one.number,
        )
        for one in wired.client.account.book.fills
    }  # fmt: skip


def held(records: Iterable[AccountRecord], opening: dict[str, str]) -> dict[str, Decimal]:
    """Balances as last told; what was never told of is as it was."""
    totals = {name: Decimal(amount) for name, amount in opening.items()}
    totals |= {one.asset: one.total for one in latest(Balance, records).values()}
    return {name: total for name, total in totals.items() if total}


def true_balances(wired: Wired) -> dict[str, Decimal]:
    return {name: total for name, total in wired.client.account.book.balances.items() if total}


@pytest.fixture(scope="module")
def spot() -> Wired:
    """An account that traded for a while."""
    wired = Wired(spec(BINANCE_SPOT, **BUSY))
    wired.run(10 * MINUTES)
    return wired


@pytest.fixture(scope="module")
def usdm() -> Wired:
    """Likewise, with funding and a transfer at the end."""
    wired = Wired(spec(BINANCE_USDM, **BUSY))
    wired.run(10 * MINUTES)
    strike(wired.client.exchange, fault="funding", amount="0.01")
    strike(wired.client.exchange, fault="transfer", asset="USDT", amount="250")
    wired.run(3)
    return wired


@pytest.mark.parametrize("exchange", [BINANCE_SPOT, BINANCE_USDM])
def test_a_key_of_ed25519(exchange: str) -> None:
    wired = Wired(edwards(exchange, **BUSY))
    assert wired.ready
    wired.run(1 * MINUTES)
    assert wired.endings == []
    alike(ours(books_of(wired.records).orders), order_facts(wired))
    assert held(wired.all(wired.exchange.balances()), {}) == true_balances(wired)


def test_spot_as_it_is_told_live(spot: Wired) -> None:
    wired = spot
    assert wired.endings == []
    book = wired.client.account.book
    assert len(book.fills) > 30
    assert {one.state for one in book.orders.values()} >= {"filled", "cancelled"}
    alike(ours(books_of(wired.records).orders), order_facts(wired))
    assert fills_told(of(Fill, wired.records)) == fills_true(wired)
    assert held(wired.records, wired.opening) == true_balances(wired)
    assert wired.session.ignored == {}


def test_spot_as_it_is_read_later(monkeypatch: pytest.MonkeyPatch, spot: Wired) -> None:
    monkeypatch.setattr(walk, "PAGE", 7)
    wired, began, heard = spot, spot.began, spot.records
    known = Known(symbols=frozenset(one.symbol for one in of(OrderEvent, heard)))
    read = wired.all(wired.exchange.orders(known, began - SECOND, wired.now + SECOND))
    alike(ours(of(OrderEvent, read)), order_facts(wired))
    fills = wired.all(wired.exchange.fills(known, began - SECOND, wired.now + SECOND))
    assert len(fills) > 7
    assert fills_told(of(Fill, fills)) == fills_true(wired)
    live = {KEYS[Fill](one): one for one in of(Fill, heard)}
    for one in of(Fill, fills):
        same = live[KEYS[Fill](one)]
        differing = {field for field in Fill.__struct_fields__ if getattr(one, field) != getattr(same, field)}
        assert differing <= {"receive_time", "origin"}
    assert held(wired.all(wired.exchange.balances()), {}) == true_balances(wired)
    waiting = {one.order_id for one in wired.client.account.book.waiting()}
    snapshot = of(OrderEvent, wired.all(wired.exchange.open_orders()))
    assert {one.order_id for one in snapshot} == waiting
    assert {one.state for one in snapshot} <= {OrderState.OPEN, OrderState.UNTRIGGERED}
    for one in of(OrderEvent, read):
        (again,) = of(OrderEvent, wired.all(wired.exchange.order(one.symbol, one.order_id)))
        assert again.state is one.state
    assert wired.all(wired.exchange.order("BTCUSDT", "42")) == [], "there is none of that number"


def test_what_comes_and_goes_on_spot_is_told_once() -> None:
    wired = Wired(spec(BINANCE_SPOT))
    began = wired.now
    strike(wired.client.exchange, fault="transfer", kind="deposit", asset="BTC", amount="0.5")
    strike(wired.client.exchange, fault="transfer", kind="withdrawal", asset="USDT", amount="10")
    strike(wired.client.exchange, fault="transfer", kind="transfer", asset="USDT", amount="-7")
    strike(wired.client.exchange, fault="transfer", kind="transfer", asset="USDT", amount="7")
    wired.run(5)
    live = of(Movement, wired.records)
    read = of(Movement, wired.all(wired.exchange.movements(Known(), began - SECOND, wired.now + SECOND)))
    assert {one.movement_id for one in live} == {one.movement_id for one in read}
    true = sorted((one.asset, one.change, one.kind) for one in wired.client.account.book.movements)
    assert sorted((one.asset, one.change, one.kind.value) for one in live) == true
    assert len(true) == 4
    assert held(wired.records, wired.opening) == true_balances(wired)


def test_usdm_as_it_is_told_live(usdm: Wired) -> None:
    wired = usdm
    assert wired.endings == []
    book = wired.client.account.book
    assert len(book.fills) > 30
    alike(ours(books_of(wired.records).orders), order_facts(wired))
    assert fills_told(of(Fill, wired.records)) == fills_true(wired)
    assert held(wired.records, wired.opening) == true_balances(wired)
    told = {key: one.quantity for key, one in latest(Position, wired.records).items()}
    assert told == {f"{one.symbol}|": one.quantity for one in book.positions.values()}
    assert wired.session.ignored == {}


def test_usdm_as_it_is_read_later(monkeypatch: pytest.MonkeyPatch, usdm: Wired) -> None:
    monkeypatch.setattr(walk, "PAGE", 60)  # more than one millisecond holds
    wired, began, book = usdm, usdm.began, usdm.client.account.book
    assert len(book.movements) > 120
    span = began - SECOND, wired.now + SECOND
    known = Known(symbols=frozenset(one.symbol for one in of(OrderEvent, wired.records)))
    read = of(OrderEvent, wired.all(wired.exchange.orders(known, *span)))
    alike(ours(read), order_facts(wired))
    fills = of(Fill, wired.all(wired.exchange.fills(known, *span)))
    assert fills_told(fills) == fills_true(wired)
    live = {KEYS[Fill](one): one for one in of(Fill, wired.records)}
    for one in fills:
        same = live[KEYS[Fill](one)]
        differing = {field for field in Fill.__struct_fields__ if getattr(one, field) != getattr(same, field)}
        assert differing <= {"receive_time", "origin"}
    balances = of(Balance, wired.all(wired.exchange.balances()))
    assert held(balances, {}) == true_balances(wired)
    positions = {
        f"{one.symbol}|": one.quantity for one in of(Position, wired.all(wired.exchange.positions()))
    }
    assert positions == {f"{one.symbol}|": one.quantity for one in book.positions.values() if one.quantity}
    waiting = {name_of(one, BINANCE_USDM) for one in book.waiting()}
    assert {one.order_id for one in of(OrderEvent, wired.all(wired.exchange.open_orders()))} == waiting
    ledger = of(Movement, wired.all(wired.exchange.movements(known, *span)))
    assert len({KEYS[Movement](one) for one in ledger}) == len(ledger) == len(book.movements)
    for asset, opening in book.opening.items():
        changes = [one.change for one in ledger if one.asset == asset]
        assert sum(changes, opening) == book.balances[asset]
    for one in read:
        (again,) = of(OrderEvent, wired.all(wired.exchange.order(one.symbol, one.order_id)))
        assert again.state is one.state
    assert wired.all(wired.exchange.order("BTCUSDT", "42")) == []


def test_conditional_orders_name_what_they_made() -> None:
    wired = Wired(spec(BINANCE_USDM))
    client = wired.client
    algo = client.place("ETHUSDT", "sell", "1", kind="stop_market", trigger_price="3000")
    made = client.account.book.trigger(algo, wired.now)
    wired.run(2)
    orders = {one.order_id: one for one in books_of(wired.records).orders}
    assert orders[f"algo-{algo}"].state is OrderState.TRIGGERED
    assert orders[made.order_id].parent_id == f"algo-{algo}"


def test_a_position_that_is_taken_away() -> None:
    wired = Wired(spec(BINANCE_USDM))
    wired.client.place("ETHUSDT", "buy", "1", kind="market")
    wired.run(20)
    strike(wired.client.exchange, fault="liquidation")
    wired.run(20)
    book = wired.client.account.book
    taken = {one.order_id for one in book.orders.values() if one.liquidation}
    assert taken
    assert {one.order_id for one in of(OrderEvent, wired.records) if one.liquidation} == taken
    assert {one.order_id for one in of(Fill, wired.records) if one.liquidation} == taken
    assert fills_told(of(Fill, wired.records)) == fills_true(wired)
    assert held(wired.records, wired.opening) == true_balances(wired)
    assert latest(Position, wired.records)["ETHUSDT|"].quantity == 0


def test_a_key_that_expires_on_spot() -> None:
    wired = Wired(spec(BINANCE_SPOT))
    strike(wired.client.exchange, fault="key_expired")
    wired.run(2)
    assert [one.kind for one in of(AccountNote, wired.records)] == [NoteKind.ENDED]
    assert [one.reason for one in wired.endings] == [Reason.CLOSED]
    again = Wired(wired.client.spec, wired.client)
    assert [one.kind for one in of(AccountNote, again.records)] == [NoteKind.REFUSED]
    assert again.endings[0].after_seconds == 600.0
    with pytest.raises(RestError, match="-2015"):
        wired.all(wired.exchange.balances())


def test_a_key_that_is_revoked_on_spot_without_a_word() -> None:
    """Only the next question finds it out."""
    wired = Wired(spec(BINANCE_SPOT))
    strike(wired.client.exchange, fault="key_revoked")
    wired.run(30)
    assert wired.endings == []
    wired.run(60)
    assert [one.kind for one in of(AccountNote, wired.records)] == [NoteKind.REFUSED]


def test_a_listen_key_that_expires() -> None:
    wired = Wired(spec(BINANCE_USDM))
    strike(wired.client.exchange, fault="listen_key_expired")
    wired.run(2)
    assert [(one.kind, one.text) for one in of(AccountNote, wired.records)] == [
        (NoteKind.ENDED, "listenKeyExpired")
    ]
    again = Wired(wired.client.spec, wired.client)
    assert again.session.live
    assert again.session.listen_key != wired.session.listen_key


def test_a_listen_key_is_kept_alive_for_hours() -> None:
    described = spec(BINANCE_USDM)
    wired = Wired(described, Client(still(make(described))))
    wired.run(3 * HOUR, 60)
    assert wired.endings == []
    order = wired.client.place("ETHUSDT", "buy", "1", price="1")
    wired.run(1)
    assert [one.order_id for one in of(OrderEvent, wired.records)] == [order]


@pytest.mark.parametrize("exchange", [BINANCE_SPOT, BINANCE_USDM])
def test_no_question_weighs_more_than_we_say(exchange: str) -> None:
    wired = Wired(spec(exchange))
    one, known = wired.exchange, Known(symbols=frozenset({"BTCUSDT"}))
    span = wired.now - HOUR * SECOND, wired.now
    requests = [
        ask.request
        for asks in (
            one.open_orders(), one.order("BTCUSDT", "7"), one.order("BTCUSDT", "algo-7"), one.balances(),
            one.positions(), one.orders(known, *span), one.fills(known, *span), one.movements(known, *span),
        )
        for ask in asks
    ]  # fmt: skip
    requests.append(one.permissions().request)
    routes = wired.client.desk.half.rest.routes  # type: ignore[attr-defined]
    for request in requests:
        query = {name: str(value) for name, value in request.query.items()}
        assert request.weight >= routes["GET", request.path].weight(query), request.path
    assert {(one.method, one.signed) for one in requests} == {("GET", True)}, "we only read"


@pytest.mark.parametrize("exchange", [BINANCE_SPOT, BINANCE_USDM])
def test_what_the_key_may_do(exchange: str) -> None:
    wired = Wired(spec(exchange, permissions={"withdraw": True, "trade": False, "ip_restricted": False}))
    ask = wired.exchange.permissions()
    told = ask.read(wired.fetch(ask.request))
    assert (told.read, told.trade, told.withdraw, told.ip_restricted) == (True, False, True, False)


@pytest.mark.parametrize("exchange", [BINANCE_SPOT, BINANCE_USDM])
def test_repeated_and_reordered_messages_make_the_same_books(exchange: str) -> None:
    wired = Wired(spec(exchange, **BUSY))
    strike(wired.client.exchange, fault="private_duplicate", count=40)
    strike(wired.client.exchange, fault="private_reorder", count=40)
    wired.run(5 * MINUTES)
    assert wired.client.account.book.fills
    alike(ours(books_of(wired.records).orders), order_facts(wired))
    assert fills_told(of(Fill, wired.records)) == fills_true(wired)
