"""Orders of USD-M as REST tells of them: ordinary ones and conditional ones, each by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from streamers.simulator.accounts.binance_history import DAY, Span, all_time, last, page, span_of
from streamers.simulator.accounts.binance_rest import QUARTER, Asked, listed
from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.book_shapes import SimOrder
from streamers.simulator.accounts.spot_texts import client_id
from streamers.simulator.accounts.usdm_rows import algo_row, order_row
from streamers.simulator.binance_parameters import Query, Refused, integer, required

WEEK: Final = 7 * DAY
FORGOTTEN: Final = 3 * DAY
"""After their creation orders that ended unfilled are told of so long."""
PLAIN: Final = ("limit", "market")
Row: TypeAlias = dict[str, Any]


def week_of(asked: Asked, cursor: int | None) -> Span:
    """The span of a history: a cursor alone reaches from it to now."""
    usual = last(WEEK, asked.now) if cursor is None else all_time(asked.now)._replace(newest=False)
    span = span_of(asked.query, WEEK, usual)
    return span if cursor is None else span._replace(newest=False)


def all_orders(asked: Asked) -> list[Row]:
    """Ordinary ones of a week, or from a number on."""
    symbol, cursor = listed(asked), integer(asked.query, "orderId")
    rows = [
        order
        for order in asked.book.orders.values()
        if order.kind in PLAIN and symbol in ("", order.symbol) and not _forgotten(order, asked.now)
        if cursor is None or int(order.order_id) >= cursor
    ]
    found = page(rows, asked.query, week_of(asked, cursor), lambda order: order.created // 1000)
    return [order_row(order, _parent(asked.book, order)) for order in found]


def all_algo_orders(asked: Asked) -> list[Row]:
    """Conditional ones of one symbol."""
    required(asked.query, "symbol")
    symbol, cursor = listed(asked), integer(asked.query, "algoId")
    rows = [
        order
        for order in asked.book.orders.values()
        if order.kind not in PLAIN and order.symbol == symbol and not _forgotten(order, asked.now)
        if cursor is None or int(order.order_id) >= cursor
    ]
    found = page(rows, asked.query, week_of(asked, cursor), lambda order: order.created // 1000)
    return _algo_rows(asked.book, found)


def open_orders(asked: Asked) -> list[Row]:
    """Ordinary ones that wait."""
    return [
        order_row(order, _parent(asked.book, order))
        for order in asked.book.waiting(listed(asked))
        if order.kind in PLAIN
    ]


def open_algo_orders(asked: Asked) -> list[Row]:
    """Conditional ones that wait for their trigger."""
    waiting = asked.book.waiting(listed(asked))
    return _algo_rows(asked.book, [order for order in waiting if order.kind not in PLAIN])


def one_order(asked: Asked) -> Row:
    """An ordinary one, by its number or name; raises Refused."""
    required(asked.query, "symbol")
    order = _found(asked, listed(asked), "orderId", "origClientOrderId", algo=False)
    return order_row(order, _parent(asked.book, order))


def one_algo_order(asked: Asked) -> Row:
    """A conditional one, by its number or name; raises Refused."""
    (row,) = _algo_rows(asked.book, [_found(asked, "", "algoId", "clientAlgoId", algo=True)])
    return row


def _found(asked: Asked, symbol: str, by_id: str, by_name: str, *, algo: bool) -> SimOrder:
    """The order that a request names; raises Refused."""
    query: Query = asked.query
    number, name = integer(query, by_id), query.get(by_name)
    if number is None and not name:
        raise Refused(-1102, f"Mandatory parameter '{by_id}' was not sent, was empty/null, or malformed.")
    for order in asked.book.orders.values():
        if (order.kind not in PLAIN) != algo or symbol not in ("", order.symbol):
            continue
        named = int(order.order_id) == number if number is not None else client_id(order) == name
        if named and not _forgotten(order, asked.now):
            return order
    raise Refused(-2013, "Order does not exist.")


def force_orders(asked: Asked) -> list[Row]:
    """Liquidations of the last week."""
    symbol = listed(asked)
    rows = [
        order for order in asked.book.orders.values() if order.liquidation and symbol in ("", order.symbol)
    ]
    found = page(rows, asked.query, last(WEEK, asked.now), lambda order: order.created // 1000, 50)
    return [order_row(order) for order in found]


def _algo_rows(book: Book, orders: Iterable[SimOrder]) -> list[Row]:
    made = {one.parent_id: one for one in book.orders.values() if one.parent_id}
    return [algo_row(order, made.get(order.order_id)) for order in orders]


def _parent(book: Book, order: SimOrder) -> SimOrder | None:
    return book.orders.get(order.parent_id)


def _forgotten(order: SimOrder, now: int) -> bool:
    """Ended unfilled and made three days ago, or over for ninety days."""
    if order.waits:
        return False
    if not order.filled and order.state in ("cancelled", "expired"):
        return order.created // 1000 < now - FORGOTTEN
    return order.updated // 1000 < now - QUARTER
