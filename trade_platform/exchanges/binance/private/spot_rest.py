"""Questions about a spot account. Histories are told by symbol only: one must know what was ever traded."""

from __future__ import annotations

from typing import Final

from trade_platform.exchanges.account import Ask, Known
from trade_platform.exchanges.binance.private import spot_rows as rows
from trade_platform.exchanges.binance.private.walk import (
    History,
    Span,
    asked,
    by_number,
    by_window,
    span_of,
)

PREFIX: Final = "/api/v3"
DAY: Final = 24 * 3600 * 1000
"""Milliseconds: the longest window."""
WINDOWS: Final = 7
"""Beyond so many windows a history is read by its numbers."""
NONE: Final = frozenset({-2013, -2026})
"""No such order; archived: it was cancelled or expired unfilled, 90 days ago."""


def open_orders() -> list[Ask]:
    """Of all symbols."""
    return [Ask(what="open orders", request=asked(f"{PREFIX}/openOrders", 80), read=rows.open_orders)]


def order(symbol: str, order_id: str) -> list[Ask]:
    """Binance's ids are numbers: it knows no other."""
    if not is_number(order_id):
        return []
    request = asked(f"{PREFIX}/order", 4, symbol=symbol, orderId=int(order_id))
    return [Ask(what=f"order {order_id} of {symbol}", request=request, read=rows.one_order, absent=NONE)]


def is_number(order_id: str) -> bool:
    """Whether it can be one of the exchange's ids."""
    return order_id.isascii() and order_id.isdigit() and len(order_id) < 20


def balances() -> list[Ask]:
    """Zeros are left out: there are hundreds of them."""
    request = asked(f"{PREFIX}/account", 20, omitZeroBalances="true")
    return [Ask(what="balances", request=request, read=rows.balances)]


def orders(known: Known, since: int, until: int) -> list[Ask]:
    """Windows count by when an order was made: one that changed may be older than its change."""
    span = span_of(since, until, before=DAY)
    return [_walk(_orders(symbol), span) for symbol in sorted(known.symbols)]


def fills(known: Known, since: int, until: int) -> list[Ask]:
    """By time; a long while by ids, from the first on: what lies before the last known may be missing."""
    symbols = sorted(known.symbols | known.last_fills.keys())
    return [_walk(_fills(symbol), span_of(since, until)) for symbol in symbols]


def _walk(history: History, span: Span) -> Ask:
    if span.until - span.since <= WINDOWS * history.longest:
        return by_window(history, span)
    return by_number(history, 0, span)


def _orders(symbol: str) -> History:
    return History(
        what=f"orders of {symbol}",
        path=f"{PREFIX}/allOrders",
        weight=20,
        query={"symbol": symbol},
        cursor="orderId",
        read=rows.orders,
        changes=True,
        longest=DAY,
    )


def _fills(symbol: str) -> History:
    return History(
        what=f"fills of {symbol}",
        path=f"{PREFIX}/myTrades",
        weight=20,
        query={"symbol": symbol},
        cursor="fromId",
        read=rows.fills,
        longest=DAY,
    )
