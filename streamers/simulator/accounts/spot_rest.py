"""Spot's private REST: the wallet, orders and trades of one symbol at a time, deposits and withdrawals.

Windows of ``allOrders`` count by when an order was made; a window is 24 hours long at most.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from streamers.simulator.accounts.binance_history import DAY, all_time, page, span_of
from streamers.simulator.accounts.binance_keys import Keyring
from streamers.simulator.accounts.binance_rest import (
    QUARTER,
    Asked,
    PrivateRest,
    Route,
    Routes,
    by,
    by_symbol,
    kept,
    listed,
    moved,
)
from streamers.simulator.accounts.book_shapes import ZERO, SimMovement, SimOrder
from streamers.simulator.accounts.desk import Desk
from streamers.simulator.accounts.spot_house import FEE, locked
from streamers.simulator.accounts.spot_texts import client_id, eight, order_row, trade_row
from streamers.simulator.binance_parameters import Refused, integer, required
from streamers.simulator.limits import WeightWindow

COMBINATIONS: Final[tuple[set[str], ...]] = (
    set(),
    {"orderId"},
    {"startTime"},
    {"endTime"},
    {"fromId"},
    {"startTime", "endTime"},
    {"orderId", "fromId"},
)
"""Of optional parameters of myTrades; no other is answered."""


class SpotRest(PrivateRest):
    """The private endpoints of spot."""

    def __init__(self, desk: Desk, keys: Keyring, window: WeightWindow) -> None:
        super().__init__(desk, keys, window, self._routes())

    def _routes(self) -> Routes:
        return {
            ("GET", "/api/v3/account"): by(20, _account),
            ("GET", "/api/v3/openOrders"): by_symbol(6, 80, _open_orders),
            ("GET", "/api/v3/order"): by(4, _order),
            ("GET", "/api/v3/allOrders"): by(20, self._all_orders),
            ("GET", "/api/v3/myTrades"): Route(lambda query: 5 if "orderId" in query else 20, self._trades),
            ("GET", "/api/v3/rateLimit/order"): by(40, lambda _: []),
            ("GET", "/api/v3/openOrderList"): by(6, lambda _: []),
            ("GET", "/api/v3/allOrderList"): by(20, lambda _: []),
            ("GET", "/sapi/v1/capital/deposit/hisrec"): by(1, _deposits),
            ("GET", "/sapi/v1/capital/withdraw/history"): by(1, _withdrawals),
            ("GET", "/sapi/v1/asset/transfer"): by(1, _transfers),
        }

    def _all_orders(self, asked: Asked) -> object:
        symbol = _symbol(asked)
        cursor = integer(asked.query, "orderId")
        span = span_of(asked.query, DAY, all_time(asked.now))
        if cursor is not None:
            span = span._replace(newest=False)
        rows = [
            order
            for order in asked.book.orders.values()
            if order.symbol == symbol and not _archived(order, asked.now)
            if cursor is None or int(order.order_id) >= cursor
        ]
        found = page(rows, asked.query, span, lambda order: order.created // 1000)
        return kept(self.desk, asked, [order_row(order) for order in found])

    def _trades(self, asked: Asked) -> object:
        symbol, query = _symbol(asked), asked.query
        if {"orderId", "startTime", "endTime", "fromId"} & query.keys() not in COMBINATIONS:
            raise Refused(-1128, "Combination of optional parameters invalid.")
        first, order_id = integer(query, "fromId"), integer(query, "orderId")
        span = span_of(query, DAY, all_time(asked.now))
        if first is not None or order_id is not None:
            span = span._replace(newest=False)
        rows = [
            fill
            for fill in asked.book.fills
            if fill.symbol == symbol
            and (first is None or fill.number >= first)
            and (order_id is None or int(fill.order_id) == order_id)
        ]
        found = page(rows, query, span, lambda fill: fill.time // 1000)
        return kept(self.desk, asked, [trade_row(fill) for fill in found])


def _symbol(asked: Asked) -> str:
    required(asked.query, "symbol")
    return listed(asked)


def _archived(order: SimOrder, now: int) -> bool:
    """Over for ninety days, and never filled."""
    return not order.waits and not order.filled and order.updated // 1000 < now - QUARTER


def _account(asked: Asked) -> object:
    book, rights = asked.book, asked.account.spec.permissions
    locks = locked(book.waiting(), book)
    whole = asked.query.get("omitZeroBalances") != "true"
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": eight(FEE),
            "taker": eight(FEE),
            "buyer": eight(ZERO),
            "seller": eight(ZERO),
        },
        "canTrade": rights.trade,
        "canWithdraw": rights.withdraw,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": book.movements[-1].time // 1000 if book.movements else 0,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": eight(total - lock), "locked": eight(lock)}
            for asset, total in book.balances.items()
            if whole or total
            for lock in [locks.get(asset, ZERO)]
        ],
        "permissions": ["SPOT"],
        "uid": 354_937_868,
    }


def _open_orders(asked: Asked) -> object:
    return [order_row(order) for order in asked.book.waiting(listed(asked))]


def _order(asked: Asked) -> object:
    symbol, query = _symbol(asked), asked.query
    number, name = integer(query, "orderId"), query.get("origClientOrderId")
    if number is None and not name:
        raise Refused(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    for order in asked.book.orders.values():
        if order.symbol == symbol and (
            int(order.order_id) == number if number is not None else client_id(order) == name
        ):
            if _archived(order, asked.now):
                raise Refused(
                    -2026, "Order was canceled or expired with no executed qty over 90 days ago and archived."
                )
            return order_row(order)
    raise Refused(-2013, "Order does not exist.")


def _deposits(asked: Asked) -> object:
    return [
        {
            "id": str(row.number),
            "amount": f"{row.change:f}",
            "coin": row.asset,
            "network": row.asset,
            "status": 1,
            "address": "simulated",
            "addressTag": "",
            "txId": _transaction(row),
            "insertTime": row.time // 1000,
            "completeTime": row.time // 1000,
            "transferType": 0,
            "confirmTimes": "1/1",
            "unlockConfirm": 0,
            "walletType": 0,
        }
        for row in moved(asked, "deposit")
    ]


def _withdrawals(asked: Asked) -> object:
    def moment(row: SimMovement) -> str:
        return f"{datetime.fromtimestamp(row.time // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"

    return [
        {
            "id": str(row.number),
            "amount": f"{-row.change:f}",
            "transactionFee": "0",
            "coin": row.asset,
            "status": 6,
            "address": "simulated",
            "txId": _transaction(row),
            "applyTime": moment(row),
            "network": row.asset,
            "transferType": 0,
            "confirmNo": 1,
            "walletType": 0,
            "completeTime": moment(row),
        }
        for row in moved(asked, "withdrawal")
    ]


def _transfers(asked: Asked) -> object:
    """Between spot and USD-M, one direction at a time."""
    kind = required(asked.query, "type")
    if kind not in ("MAIN_UMFUTURE", "UMFUTURE_MAIN"):
        return {"total": 0, "rows": []}
    rows: list[dict[str, Any]] = [
        {
            "asset": row.asset,
            "amount": f"{abs(row.change):f}",
            "type": kind,
            "status": "CONFIRMED",
            "tranId": 11_000_000_000 + row.number,
            "timestamp": row.time // 1000,
        }
        for row in moved(asked, "transfer")
        if (row.change < 0) == (kind == "MAIN_UMFUTURE")
    ]
    return {"total": len(rows), "rows": rows}


def _transaction(row: SimMovement) -> str:
    return f"0x{row.number:064x}"
