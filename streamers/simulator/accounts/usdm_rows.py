"""Rows of USD-M's private REST: orders of both kinds, fills, movements. Times are milliseconds."""

from __future__ import annotations

from typing import Any, Final

from streamers.simulator.accounts.book_shapes import ZERO, SimFill, SimMovement, SimOrder
from streamers.simulator.accounts.spot_texts import client_id, eight, status_of
from streamers.simulator.accounts.usdm_texts import TYPES, average, name_of, plain, side_of, type_of

INCOMES: Final = {
    "realized_pnl": "REALIZED_PNL",
    "fee": "COMMISSION",
    "funding": "FUNDING_FEE",
    "transfer": "TRANSFER",
    "insurance": "INSURANCE_CLEAR",
    "deposit": "TRANSFER",
    "withdrawal": "TRANSFER",
}
FIRST_TRANSACTION: Final = 965_000_000_000


def order_row(order: SimOrder, parent: SimOrder | None = None) -> dict[str, Any]:
    """An ordinary order as REST shows it."""
    return {
        "orderId": int(order.order_id),
        "symbol": order.symbol,
        "status": status_of(order),
        "clientOrderId": name_of(order),
        "price": plain(order.price),
        "avgPrice": f"{order.average or ZERO:.5f}",
        "origQty": plain(order.quantity),
        "executedQty": plain(order.filled),
        "cumQuote": plain(order.spent),
        "timeInForce": "IOC" if order.liquidation else order.time_in_force,
        "type": type_of(order),
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.upper(),
        "positionSide": side_of(order.position_side),
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": TYPES[parent.kind] if parent else type_of(order),
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": order.created // 1000,
        "updateTime": order.updated // 1000,
    }


def algo_row(order: SimOrder, made: SimOrder | None) -> dict[str, Any]:
    """A conditional order as REST shows it."""
    return {
        "algoId": int(order.order_id),
        "clientAlgoId": client_id(order),
        "algoType": "CONDITIONAL",
        "orderType": TYPES[order.kind],
        "symbol": order.symbol,
        "side": order.side.upper(),
        "positionSide": side_of(order.position_side),
        "timeInForce": order.time_in_force,
        "quantity": plain(order.quantity),
        "algoStatus": algo_status(order, made),
        "actualOrderId": made.order_id if made else "",
        "actualPrice": average(made) if made and made.filled else "0.00000",
        "triggerPrice": plain(order.trigger_price),
        "price": plain(order.price),
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "createTime": order.created // 1000,
        "updateTime": max(order.updated, made.updated if made else 0) // 1000,
        "triggerTime": made.created // 1000 if made else 0,
        "goodTillDate": 0,
    }


def algo_status(order: SimOrder, made: SimOrder | None) -> str:
    """NEW, TRIGGERED, FINISHED, CANCELED …"""
    if made is not None:
        return "TRIGGERED" if made.waits else "FINISHED"
    return {"triggered": "TRIGGERING"}.get(order.state, status_of(order))


def trade_row(fill: SimFill) -> dict[str, Any]:
    """A fill as REST shows it."""
    return {
        "symbol": fill.symbol,
        "id": fill.number,
        "orderId": int(fill.order_id),
        "side": fill.side.upper(),
        "price": plain(fill.price),
        "qty": plain(fill.quantity),
        "realizedPnl": eight(fill.realized),
        "quoteQty": eight(fill.price * fill.quantity),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time // 1000,
        "positionSide": side_of(fill.position_side),
        "maker": fill.maker,
        "buyer": fill.side == "buy",
        "pair": fill.symbol.partition("_")[0],
        "marginAsset": fill.fee_asset,
    }


def income_row(row: SimMovement, transaction: int) -> dict[str, Any]:
    """A movement as REST shows it; a fill's profit and commission share their ``tranId``."""
    return {
        "symbol": row.symbol,
        "incomeType": INCOMES.get(row.kind, row.kind.upper()),
        "income": eight(row.change),
        "asset": row.asset,
        "info": row.info or (row.fill_id or INCOMES.get(row.kind, "")),
        "time": row.time // 1000,
        "tranId": FIRST_TRANSACTION + transaction,
        "tradeId": row.fill_id,
    }
