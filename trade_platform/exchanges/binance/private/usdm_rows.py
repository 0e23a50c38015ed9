"""What USD-M's REST interface tells of orders and fills: rows, and what they say as records."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_platform.domain.accounts import FINAL, Fill, OrderEvent, OrderState, Origin
from trade_platform.exchanges.account import Page
from trade_platform.exchanges.amounts import checked, checked_unsigned
from trade_platform.exchanges.binance.private.rows import decoded, reading
from trade_platform.exchanges.binance.private.states import ALGO_STATES, ENDED, state_of
from trade_platform.exchanges.binance.private.usdm_notes import ALGO
from trade_platform.exchanges.binance.private.usdm_records import (
    BOTH,
    POST_ONLY,
    is_liquidation,
    side_of_position,
)
from trade_platform.exchanges.binance.private.walk import Row
from trade_platform.exchanges.binance.private.wire import (
    LAST,
    Id,
    Milliseconds,
    Text,
    Word,
    given,
    side_of,
)
from trade_platform.exchanges.binance.records import MILLISECOND


class OrderRow(
    msgspec.Struct,
    gc=False,
    rename={
        "order_id": "orderId", "client_id": "clientOrderId", "quantity": "origQty",
        "filled": "executedQty", "average_price": "avgPrice", "time_in_force": "timeInForce",
        "order_type": "type", "original_type": "origType", "trigger_price": "stopPrice",
        "updated": "updateTime", "reduce_only": "reduceOnly", "position_side": "positionSide",
    },
):  # fmt: skip
    symbol: Word
    order_id: Id
    client_id: Text
    price: Decimal
    quantity: Decimal
    filled: Decimal
    status: Word
    time_in_force: Text
    order_type: Word
    side: str
    time: Milliseconds
    updated: Milliseconds = 0
    average_price: Decimal = Decimal(0)
    original_type: Text = ""
    trigger_price: Decimal = Decimal(0)
    reduce_only: bool = False
    position_side: Text = BOTH


class AlgoRow(
    msgspec.Struct,
    gc=False,
    rename={
        "algo_id": "algoId", "client_id": "clientAlgoId", "order_type": "orderType",
        "plain_type": "type", "position_side": "positionSide", "time_in_force": "timeInForce",
        "status": "algoStatus", "trigger_price": "triggerPrice", "reduce_only": "reduceOnly",
        "created": "createTime", "updated": "updateTime",
    },
):  # fmt: skip
    symbol: Word
    algo_id: Id
    client_id: Text
    side: str
    status: Word
    created: Milliseconds
    quantity: Decimal = Decimal(0)
    """Absent where it closes the whole position."""
    order_type: Text = ""
    plain_type: Text = ""
    """Both names of the type are told."""
    updated: Milliseconds = 0
    trigger_price: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    position_side: Text = BOTH
    time_in_force: Text = ""
    reduce_only: bool = False


class TradeRow(
    msgspec.Struct,
    gc=False,
    rename={
        "trade_id": "id", "order_id": "orderId", "quantity": "qty", "fee": "commission",
        "fee_asset": "commissionAsset", "realized_pnl": "realizedPnl", "position_side": "positionSide",
    },
):  # fmt: skip
    symbol: Word
    trade_id: Id
    order_id: Id
    side: str
    price: Decimal
    quantity: Decimal
    time: Milliseconds
    maker: bool
    fee: Decimal = Decimal(0)
    fee_asset: Text = ""
    realized_pnl: Decimal | None = None
    position_side: Text = BOTH


_orders = msgspec.json.Decoder(list[OrderRow])
_order = msgspec.json.Decoder(OrderRow)
_algos = msgspec.json.Decoder(list[AlgoRow])
_trades = msgspec.json.Decoder(list[TradeRow])


def order_event(row: OrderRow, receive_time: int, origin: Origin) -> OrderEvent:
    """How an order stands; what happened last, and why it ended, is not told."""
    filled = checked_unsigned(row.filled)
    state = state_of(row.status, row.order_type)
    return OrderEvent(
        symbol=row.symbol,
        order_id=str(row.order_id),
        state=state,
        status=row.status,
        event="",
        side=side_of(row.side),
        order_type=row.original_type or row.order_type,
        quantity=checked_unsigned(row.quantity),
        filled=filled,
        event_time=(row.updated or row.time) * MILLISECOND,
        receive_time=receive_time,
        price=given(checked_unsigned(row.price)),
        trigger_price=given(checked_unsigned(row.trigger_price)),
        average_price=given(checked_unsigned(row.average_price)) if filled else None,
        time_in_force=row.time_in_force,
        client_id=row.client_id,
        created=row.time * MILLISECOND,
        reduce_only=row.reduce_only,
        post_only=row.time_in_force == POST_ONLY,
        liquidation=is_liquidation(row.client_id, row.order_type),
        position_side=side_of_position(row.position_side),
        update=LAST if state in FINAL else 0,
        origin=origin,
    )


def algo_event(row: AlgoRow, receive_time: int, origin: Origin) -> OrderEvent:
    """How a conditional order stands."""
    state = ALGO_STATES.get(row.status, OrderState.UNKNOWN)
    return OrderEvent(
        symbol=row.symbol,
        order_id=f"{ALGO}{row.algo_id}",
        state=state,
        status=row.status,
        event="",
        side=side_of(row.side),
        order_type=row.order_type or row.plain_type,
        quantity=checked_unsigned(row.quantity),
        filled=Decimal(0),
        event_time=(row.updated or row.created) * MILLISECOND,
        receive_time=receive_time,
        price=given(checked_unsigned(row.price)),
        trigger_price=given(checked_unsigned(row.trigger_price)),
        time_in_force=row.time_in_force,
        client_id=row.client_id,
        created=row.created * MILLISECOND,
        reduce_only=row.reduce_only,
        post_only=row.time_in_force == POST_ONLY,
        position_side=side_of_position(row.position_side),
        update=LAST if state in ENDED else 0,
        origin=origin,
    )


def fill(row: TradeRow, receive_time: int) -> Fill:
    """As the stream tells it, but for what only its order says: liquidation and settlement."""
    return Fill(
        symbol=row.symbol,
        fill_id=str(row.trade_id),
        order_id=str(row.order_id),
        side=side_of(row.side),
        price=checked_unsigned(row.price),
        quantity=checked_unsigned(row.quantity),
        event_time=row.time * MILLISECOND,
        receive_time=receive_time,
        fee=checked(row.fee),
        fee_asset=row.fee_asset,
        maker=row.maker,
        realized_pnl=None if row.realized_pnl is None else checked(row.realized_pnl),
        sequence=row.trade_id,
        position_side=side_of_position(row.position_side),
        origin=Origin.HISTORY,
    )


@reading
def open_orders(body: bytes, receive_time: int) -> Page:
    """All that wait in the book."""
    rows = decoded(_orders, body)
    return Page(records=[order_event(row, receive_time, Origin.SNAPSHOT) for row in rows])


@reading
def open_algo_orders(body: bytes, receive_time: int) -> Page:
    """All that wait for a price."""
    rows = decoded(_algos, body)
    return Page(records=[algo_event(row, receive_time, Origin.SNAPSHOT) for row in rows])


@reading
def one_order(body: bytes, receive_time: int) -> Page:
    """How one order stands."""
    return Page(records=[order_event(decoded(_order, body), receive_time, Origin.HISTORY)])


@reading
def orders(body: bytes, receive_time: int) -> list[Row]:
    """A page of all orders."""
    return [
        Row(row.order_id, row.time, order_event(row, receive_time, Origin.HISTORY))
        for row in decoded(_orders, body)
    ]


@reading
def algo_orders(body: bytes, receive_time: int) -> list[Row]:
    """A page of all conditional orders of a symbol."""
    return [
        Row(row.algo_id, row.created, algo_event(row, receive_time, Origin.HISTORY))
        for row in decoded(_algos, body)
    ]


@reading
def fills(body: bytes, receive_time: int) -> list[Row]:
    """A page of our trades of a symbol."""
    return [Row(row.trade_id, row.time, fill(row, receive_time)) for row in decoded(_trades, body)]
