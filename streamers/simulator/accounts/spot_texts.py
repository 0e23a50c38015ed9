"""What spot says of orders, fills and balances, key by key as the wire has them. Times are milliseconds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from streamers.simulator.accounts.book_shapes import ZERO, Happening, SimFill, SimOrder

NOTHING: Final = "0.00000000"
TYPES: Final = {
    "limit": "LIMIT",
    "market": "MARKET",
    "stop_limit": "STOP_LOSS_LIMIT",
    "stop_market": "STOP_LOSS",
    "take_limit": "TAKE_PROFIT_LIMIT",
    "take_market": "TAKE_PROFIT",
}
STATUSES: Final = {
    "untriggered": "NEW",
    "triggered": "NEW",
    "open": "NEW",
    "filled": "FILLED",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
}
EXECUTIONS: Final[dict[Happening, str]] = {
    "placed": "NEW",
    "amended": "REPLACED",
    "cancelled": "CANCELED",
    "triggered": "NEW",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
}
UNFILLED: Final = {
    "IOC": "UNFILLED_IOC_QUANTITY_EXPIRED",
    "FOK": "UNFILLED_FOK_ORDER_EXPIRED",
}


def eight(value: Decimal | None) -> str:
    """Eight decimals, as spot writes every amount."""
    return NOTHING if value is None else f"{value:.8f}"


def status_of(order: SimOrder) -> str:
    """NEW, PARTIALLY_FILLED …"""
    return "PARTIALLY_FILLED" if order.state == "open" and order.filled else STATUSES[order.state]


def type_of(order: SimOrder) -> str:
    """LIMIT, MARKET, STOP_LOSS …"""
    return "LIMIT_MAKER" if order.post_only and order.kind == "limit" else TYPES[order.kind]


def client_id(order: SimOrder) -> str:
    """What the trader called it; who calls it nothing gets a name of the exchange's making."""
    return order.client_id or f"sim_{order.order_id}"


def why_expired(order: SimOrder) -> str:
    """``eR``: by the exchange's words."""
    return order.reason or UNFILLED.get(order.time_in_force, "INSUFFICIENT_LIQUIDITY")


def execution_report(
    order: SimOrder, what: Happening | None, execution_id: int, fill: SimFill | None = None
) -> dict[str, Any]:
    """``executionReport``: of what happened to the order, or of its fill."""
    moment = (fill.time if fill else order.updated) // 1000
    name, original = client_id(order), ""
    if what == "cancelled":
        name, original = f"cancel_{order.order_id}", name
    works = order.state == "open"
    said: dict[str, Any] = {
        "e": "executionReport",
        "E": moment,
        "s": order.symbol,
        "c": name,
        "S": order.side.upper(),
        "o": type_of(order),
        "f": "GTC" if order.time_in_force == "GTX" else order.time_in_force,
        "q": eight(order.quantity),
        "p": eight(order.price),
        "P": eight(order.trigger_price),
        "F": NOTHING,
        "g": -1,
        "C": original,
        "x": EXECUTIONS[what] if what else "TRADE",
        "X": status_of(order),
        "r": (order.reason or "INSUFFICIENT_BALANCES") if what == "rejected" else "NONE",
        "i": int(order.order_id),
        "l": eight(fill.quantity if fill else None),
        "z": eight(order.filled),
        "L": eight(fill.price if fill else None),
        "n": eight(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": moment,
        "t": fill.number if fill else -1,
        "I": execution_id,
        "w": works,
        "m": bool(fill and fill.maker),
        "M": False,
        "O": order.created // 1000,
        "Z": eight(order.spent),
        "Y": eight(fill.price * fill.quantity if fill else ZERO),
        "Q": NOTHING,
        "V": "NONE",
    }
    if works or fill:
        said["W"] = order.created // 1000
    if what == "expired":
        said["eR"] = why_expired(order)
    return said


def account_position(assets: dict[str, tuple[Decimal, Decimal]], moment: int) -> dict[str, Any]:
    """``outboundAccountPosition``; by asset what is free and what is locked."""
    return {
        "e": "outboundAccountPosition",
        "E": moment,
        "u": moment,
        "B": [{"a": asset, "f": eight(free), "l": eight(lock)} for asset, (free, lock) in assets.items()],
    }


def balance_update(asset: str, change: Decimal, moment: int) -> dict[str, Any]:
    """``balanceUpdate``: something came or left without a trade."""
    return {"e": "balanceUpdate", "E": moment, "a": asset, "d": eight(change), "T": moment}


def order_row(order: SimOrder) -> dict[str, Any]:
    """An order as REST shows it; the triple m is the exchange's own."""
    works = order.state != "untriggered"
    row: dict[str, Any] = {
        "symbol": order.symbol,
        "orderId": int(order.order_id),
        "orderListId": -1,
        "clientOrderId": client_id(order),
        "price": eight(order.price),
        "origQty": eight(order.quantity),
        "executedQty": eight(order.filled),
        "cummulativeQuoteQty": eight(order.spent),
        "status": status_of(order),
        "timeInForce": "GTC" if order.time_in_force == "GTX" else order.time_in_force,
        "type": type_of(order),
        "side": order.side.upper(),
        "stopPrice": eight(order.trigger_price),
        "icebergQty": NOTHING,
        "time": order.created // 1000,
        "updateTime": order.updated // 1000,
        "isWorking": works,
        "workingTime": order.created // 1000 if works else -1,
        "origQuoteOrderQty": NOTHING,
        "selfTradePreventionMode": "NONE",
    }
    if order.state == "expired":
        row["expiryReason"] = why_expired(order)
    return row


def trade_row(fill: SimFill) -> dict[str, Any]:
    """A fill as REST shows it."""
    return {
        "symbol": fill.symbol,
        "id": fill.number,
        "orderId": int(fill.order_id),
        "orderListId": -1,
        "price": eight(fill.price),
        "qty": eight(fill.quantity),
        "quoteQty": eight(fill.price * fill.quantity),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time // 1000,
        "isBuyer": fill.side == "buy",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
