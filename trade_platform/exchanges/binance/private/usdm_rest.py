"""Questions about a USD-M account. Conditional orders have lists of their own since 2025-12-09."""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.exchanges.account import Ask, Known, Page
from trade_platform.exchanges.binance.private import usdm_money as money
from trade_platform.exchanges.binance.private import usdm_rows as rows
from trade_platform.exchanges.binance.private.spot_rest import is_number
from trade_platform.exchanges.binance.private.usdm_notes import ALGO
from trade_platform.exchanges.binance.private.walk import (
    History,
    asked,
    by_halves,
    by_time,
    by_window,
    span_of,
)

PREFIX: Final = "/fapi/v1"
DAY: Final = 24 * 3600 * 1000
"""Milliseconds."""
WEEK: Final = 7 * DAY
"""The longest window."""
NONE: Final = frozenset({-2013})
"""No such order (any more)."""


def open_orders() -> list[Ask]:
    """Of all symbols; what waits for a price is told apart."""
    return [
        Ask(what="open orders", request=asked(f"{PREFIX}/openOrders", 40), read=rows.open_orders),
        Ask(
            what="open conditional orders",
            request=asked(f"{PREFIX}/openAlgoOrders", 40),
            read=rows.open_algo_orders,
        ),
    ]


def order(symbol: str, order_id: str) -> list[Ask]:
    """One order; a conditional one is looked for in the list of all, from its number on."""
    number = order_id.removeprefix(ALGO)
    what = f"order {order_id} of {symbol}"
    if not is_number(number):
        return []
    if number == order_id:
        request = asked(f"{PREFIX}/order", 1, symbol=symbol, orderId=int(number))
        return [Ask(what=what, request=request, read=rows.one_order, absent=NONE)]

    def read(body: bytes, receive_time: int) -> Page:
        found = rows.algo_orders(body, receive_time)
        return Page(records=[row.record for row in found if row.number == int(number)])

    request = asked(f"{PREFIX}/allAlgoOrders", 5, symbol=symbol, algoId=int(number), limit=1)
    return [Ask(what=what, request=request, read=read, absent=NONE)]


def balances() -> list[Ask]:
    """The account, because it tells margins by asset, which the list of balances does not."""
    return [Ask(what="balances", request=asked("/fapi/v3/account", 5), read=money.balances)]


def positions() -> list[Ask]:
    """Of all symbols."""
    return [Ask(what="positions", request=asked("/fapi/v3/positionRisk", 5), read=money.positions)]


def orders(known: Known, since: int, until: int) -> list[Ask]:
    """Ordinary ones of all symbols at once, conditional ones of each; from before the span, as on spot."""
    span = span_of(since, until, before=DAY)
    ordinary = History(what="orders", path=f"{PREFIX}/allOrders", weight=40, read=rows.orders, longest=WEEK)
    conditional = History(
        what="",
        path=f"{PREFIX}/allAlgoOrders",
        weight=5,
        cursor="algoId",
        read=rows.algo_orders,
        changes=True,
        longest=WEEK,
    )
    return [
        by_halves(ordinary, [span]),
        *(
            by_window(_of(conditional, f"conditional orders of {symbol}", symbol), span)
            for symbol in sorted(known.symbols)
        ),
    ]


def fills(known: Known, since: int, until: int) -> list[Ask]:
    """Windows are long here, and the history is short: it is read by time."""
    trades = History(
        what="", path=f"{PREFIX}/userTrades", weight=5, cursor="fromId", read=rows.fills, longest=WEEK
    )
    return [
        by_window(_of(trades, f"fills of {symbol}", symbol), span_of(since, until))
        for symbol in sorted(known.symbols | known.last_fills.keys())
    ]


def movements(since: int, until: int) -> list[Ask]:
    """The ledger of all symbols; pages by number are no more since 2026-10-16."""
    ledger = History(what="ledger", path=f"{PREFIX}/income", weight=30, read=money.income, longest=WEEK)
    return [by_time(ledger, span_of(since, until))]


def _of(history: History, what: str, symbol: str) -> History:
    return msgspec.structs.replace(history, what=what, query={"symbol": symbol})
