"""What USD-M says of orders and fills, key by key as the wire has them. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from streamers.simulator.accounts.book_shapes import (
    ZERO,
    Happening,
    SimFill,
    SimOrder,
    SimPosition,
)
from streamers.simulator.accounts.spot_texts import client_id, eight, status_of

TYPES: Final = {
    "limit": "LIMIT",
    "market": "MARKET",
    "stop_limit": "STOP",
    "stop_market": "STOP_MARKET",
    "take_limit": "TAKE_PROFIT",
    "take_market": "TAKE_PROFIT_MARKET",
}
EXECUTIONS: Final[dict[Happening, str]] = {
    "placed": "NEW",
    "amended": "AMENDMENT",
    "cancelled": "CANCELED",
    "triggered": "NEW",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
}


def plain(value: Decimal | None) -> str:
    """As it is; nothing is 0."""
    return f"{value or ZERO:f}"


def average(order: SimOrder) -> str:
    """Average price of its fills."""
    return "0" if order.average is None else f"{order.average:.5f}"


def name_of(order: SimOrder) -> str:
    """The client's id; orders of the exchange itself say what they are for."""
    return f"autoclose-{order.order_id}" if order.liquidation else client_id(order)


def type_of(order: SimOrder) -> str:
    """LIMIT, MARKET, STOP …; a liquidation takes as a limit order does."""
    return "LIMIT" if order.liquidation else TYPES[order.kind]


def side_of(name: str) -> str:
    """BOTH, but in hedge mode."""
    return name or "BOTH"


def order_update(
    order: SimOrder, what: Happening | None, fill: SimFill | None = None, parent: SimOrder | None = None
) -> dict[str, Any]:
    """``ORDER_TRADE_UPDATE``: of what happened to the order, or of its fill."""
    moment = (fill.time if fill else order.updated) // 1000
    shown = type_of(order)
    buys, rests = order.side == "buy", order.left * (order.price or ZERO) if order.waits else ZERO
    event = EXECUTIONS[what] if what else "CALCULATED" if order.liquidation else "TRADE"
    body: dict[str, Any] = {
        "s": order.symbol,
        "c": name_of(order),
        "S": order.side.upper(),
        "o": shown,
        "f": "IOC" if order.liquidation else order.time_in_force,
        "q": plain(order.quantity),
        "p": plain(order.price),
        "ap": average(order),
        "sp": "0",
        "x": event,
        "X": status_of(order),
        "i": int(order.order_id),
        "l": plain(fill.quantity if fill else None),
        "z": plain(order.filled),
        "L": plain(fill.price if fill else None),
    }
    if fill:
        body |= {"n": eight(fill.fee), "N": fill.fee_asset}
    body |= {
        "T": moment,
        "t": fill.number if fill else 0,
        "b": plain(rests if buys else ZERO),
        "a": plain(ZERO if buys else rests),
        "m": bool(fill and fill.maker),
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": TYPES[parent.kind] if parent else shown,
        "ps": side_of(order.position_side),
        "cp": False,
        "rp": eight(fill.realized) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
        "er": _why(order, what),
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": moment, "E": moment, "o": body}


def trade_lite(order: SimOrder, fill: SimFill) -> dict[str, Any]:
    """``TRADE_LITE``: the same fill once more, earlier and shorter."""
    moment = fill.time // 1000
    return {
        "e": "TRADE_LITE",
        "E": moment,
        "T": moment,
        "s": fill.symbol,
        "q": plain(order.quantity),
        "p": plain(order.price),
        "m": fill.maker,
        "c": name_of(order),
        "S": fill.side.upper(),
        "L": plain(fill.price),
        "l": plain(fill.quantity),
        "t": fill.number,
        "i": int(fill.order_id),
    }


def algo_update(order: SimOrder, status: str, made: SimOrder | None = None) -> dict[str, Any]:
    """``ALGO_UPDATE``: a conditional order, and the one that it made."""
    moment = (made or order).updated // 1000
    body = {
        "caid": client_id(order),
        "aid": int(order.order_id),
        "at": "CONDITIONAL",
        "o": TYPES[order.kind],
        "s": order.symbol,
        "S": order.side.upper(),
        "ps": side_of(order.position_side),
        "f": order.time_in_force,
        "q": plain(order.quantity),
        "X": status,
        "ai": made.order_id if made else "",
        "ap": average(made) if made and made.filled else "0.00000",
        "aq": plain(made.filled) if made else "0.00000",
        "act": TYPES[made.kind] if made else "0",
        "tp": plain(order.trigger_price),
        "p": plain(order.price),
        "V": "EXPIRE_MAKER",
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": False,
        "pP": False,
        "R": order.reduce_only,
        "tt": made.created // 1000 if made else 0,
        "gtd": 0,
        "rm": order.reason,
        "ia": False,
    }
    return {"e": "ALGO_UPDATE", "T": moment, "E": moment, "o": body}


def account_update(
    why: str,
    moment: int,
    balances: Iterable[tuple[str, Decimal, Decimal]],
    positions: Iterable[tuple[SimPosition, Decimal]],
    symbol: str = "",
) -> dict[str, Any]:
    """``ACCOUNT_UPDATE``: (asset, wallet, change that no trade made), (position, what it would bring)."""
    body: dict[str, Any] = {
        "B": [
            {"a": asset, "wb": eight(wallet), "cw": eight(wallet), "bc": eight(change) if change else "0"}
            for asset, wallet, change in balances
        ],
        "P": [
            {
                "s": one.symbol,
                "pa": plain(one.quantity),
                "ep": f"{one.entry if one.quantity else ZERO:.5f}",
                "bep": f"{one.entry if one.quantity else ZERO:.5f}",
                "cr": eight(one.realized),
                "up": eight(brings),
                "mt": "cross",
                "iw": "0",
                "ps": side_of(one.position_side),
                "ma": one.asset,
            }
            for one, brings in positions
        ],
        "m": why,
    }
    if symbol:
        body["S"] = symbol
    return {"e": "ACCOUNT_UPDATE", "T": moment, "E": moment, "a": body}


def margin_call(
    wallet: Decimal, moment: int, positions: Iterable[tuple[SimPosition, Decimal, Decimal, Decimal]]
) -> dict[str, Any]:
    """``MARGIN_CALL``: (position, mark price, what it would bring, what must be left for it)."""
    return {
        "e": "MARGIN_CALL",
        "E": moment,
        "cw": plain(wallet),
        "p": [
            {
                "s": one.symbol,
                "ps": side_of(one.position_side),
                "pa": plain(one.quantity),
                "mt": "CROSSED",
                "iw": "0",
                "mp": plain(mark),
                "up": plain(brings),
                "mm": plain(needed),
            }
            for one, mark, brings, needed in positions
        ],
    }


def _why(order: SimOrder, what: Happening | None) -> str:
    """``er``: why it expired, as a number."""
    if what != "expired":
        return "0"
    if order.liquidation:
        return "5"
    return "9" if order.kind == "market" else "2"
