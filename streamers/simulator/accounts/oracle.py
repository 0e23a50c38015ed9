"""What tests and demos hold ours against: the whole book of an account, and the hand that trades for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from streamers.simulator.accounts.book import Book, Unacceptable
from streamers.simulator.accounts.book_shapes import OrderKind, Side
from streamers.simulator.accounts.desk import Account, Desk

PATH = "/simulator/account"


class NoSuchAccount(Exception):
    """There is no account of that name here; the sentence says which there are."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to do for an account."""

    do: Literal["place", "amend", "cancel"]
    order_id: str = ""
    symbol: str = ""
    side: Side = "buy"
    kind: OrderKind = "limit"
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: str = "GTC"
    label: str = ""
    client_id: str = ""
    reduce_only: bool = False
    post_only: bool = False


def account_of(desk: Desk | None, query: Mapping[str, str]) -> Account:
    """The account that a request names; raises NoSuchAccount."""
    accounts = {} if desk is None else desk.accounts
    name = query.get("name", "")
    if name not in accounts:
        there = ", ".join(accounts) or "none: start the simulator with --accounts FILE"
        raise NoSuchAccount(f"There is no account {name!r} here, only {there}.")
    return accounts[name]


def whole(account: Account) -> dict[str, Any]:
    """Everything that is true of an account; decimals are text, times microseconds UTC."""
    book = account.book
    return {
        "name": account.name,
        "exchange": account.spec.exchange,
        "opening": book.opening,
        "balances": book.balances,
        "positions": list(book.positions.values()),
        "orders": list(book.orders.values()),
        "fills": book.fills,
        "movements": book.movements,
        "notes": book.notes,
    }


def obey(account: Account, command: Command) -> dict[str, Any]:
    """Do it now; raises Unacceptable. The order as it stands then comes back."""
    book, trader = account.book, account.trader
    if command.do == "cancel":
        book.cancel(command.order_id, trader.now, "user_request")
        return _told(book, command.order_id)
    if command.do == "amend":
        book.amend(command.order_id, trader.now, price=command.price, quantity=command.quantity)
        return _told(book, command.order_id)
    if command.symbol not in trader.floor.pits or not command.quantity:
        raise Unacceptable("An order needs a symbol that is listed here, and a quantity.")
    order = trader.place(
        command.symbol,
        command.side,
        command.quantity,
        kind=command.kind,
        price=command.price,
        trigger_price=command.trigger_price,
        time_in_force=command.time_in_force,
        label=command.label,
        client_id=command.client_id,
        reduce_only=command.reduce_only,
        post_only=command.post_only,
    )
    return _told(book, order.order_id)


def _told(book: Book, order_id: str) -> dict[str, Any]:
    return {"order": book.orders[order_id], "fills": book.fills_of(order_id)}
