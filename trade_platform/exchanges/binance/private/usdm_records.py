"""USD-M's private events of orders, fills, balances and positions: frames, and what they say as records."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.accounts import (
    AccountRecord,
    Balance,
    Fill,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.exchanges.amounts import checked, checked_unsigned
from trade_platform.exchanges.binance.private.states import ENDED, state_of
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

CALCULATED: Final = "CALCULATED"
"""The exchange itself trades: liquidation, its insurance fund, or the other side of a liquidation."""
EXECUTIONS: Final = frozenset({"TRADE", CALCULATED})
POST_ONLY: Final = "GTX"
BOTH: Final = "BOTH"
"""The side of every position outside of hedge mode."""
NO_REASON: Final = "0"
SETTLEMENTS: Final = ("settlement_autoclose", "delivery_autoclose")
LIQUIDATIONS: Final = ("autoclose-", "adl_autoclose")


class Order(
    msgspec.Struct,
    gc=False,
    rename={
        "symbol": "s", "client_id": "c", "side": "S", "order_type": "o", "original_type": "ot",
        "time_in_force": "f", "quantity": "q", "price": "p", "average_price": "ap", "trigger_price": "sp",
        "event": "x", "status": "X", "order_id": "i", "last_quantity": "l", "filled": "z",
        "last_price": "L", "fee": "n", "fee_asset": "N", "time": "T", "trade_id": "t", "maker": "m",
        "reduce_only": "R", "position_side": "ps", "realized_pnl": "rp", "expiry_reason": "er",
    },
):  # fmt: skip
    symbol: Word
    client_id: Text
    side: str
    order_type: Word
    time_in_force: Text
    quantity: Decimal
    price: Decimal
    average_price: Decimal
    event: Word
    status: Word
    order_id: Id
    last_quantity: Decimal
    filled: Decimal
    last_price: Decimal
    time: Milliseconds
    trade_id: Id
    maker: bool
    trigger_price: Decimal = Decimal(0)
    original_type: Text = ""
    """What it was before its trigger came."""
    reduce_only: bool = False
    position_side: Text = BOTH
    realized_pnl: Decimal | None = None
    fee: Decimal | None = None
    """Absent where none is due."""
    fee_asset: Text | None = None
    expiry_reason: Id | Text = NO_REASON


class OrderTradeUpdate(msgspec.Struct, rename={"order": "o"}):
    order: Order


class WalletChange(msgspec.Struct, gc=False, rename={"asset": "a", "total": "wb"}):
    asset: Word
    total: Decimal


class PositionChange(
    msgspec.Struct,
    gc=False,
    rename={
        "symbol": "s", "quantity": "pa", "entry": "ep", "unrealized": "up", "realized": "cr",
        "margin_mode": "mt", "side": "ps", "asset": "ma",
    },
):  # fmt: skip
    symbol: Word
    quantity: Decimal
    entry: Decimal
    unrealized: Decimal
    realized: Decimal
    margin_mode: Text = ""
    side: Text = BOTH
    asset: Text = ""


class Changes(msgspec.Struct, rename={"reason": "m", "balances": "B", "positions": "P"}):
    reason: Text = ""
    balances: list[WalletChange] = []
    positions: list[PositionChange] = []


class AccountUpdate(msgspec.Struct, rename={"time": "T", "changes": "a"}):
    time: Milliseconds
    changes: Changes


_order = msgspec.json.Decoder(OrderTradeUpdate).decode
_update = msgspec.json.Decoder(AccountUpdate).decode


def side_of_position(word: str) -> str:
    """LONG or SHORT; empty where there is one position a symbol."""
    return "" if word == BOTH else word


def is_liquidation(client_id: str, order_type: str, event: str = "") -> bool:
    """Whether the exchange made this order to take a position away."""
    return event == CALCULATED or order_type == "LIQUIDATION" or client_id.startswith(LIQUIDATIONS)


def order_trade_update(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """How an order stands, and its fill where it was one."""
    order = _order(body).order
    record = _order_event(order, receive_time)
    if order.event not in EXECUTIONS or not order.trade_id or not order.last_quantity:
        return [record]
    return [record, _fill(order, receive_time)]


def _state_of(order: Order) -> OrderState:
    """What the exchange trades by itself may be told as new though it is over."""
    state = state_of(order.status, order.order_type)
    if state is OrderState.OPEN and order.event == CALCULATED and order.filled >= order.quantity > 0:
        return OrderState.FILLED
    return state


def _reason(order: Order) -> str:
    """Binance's number; what each means stands in its reference."""
    reason = str(order.expiry_reason)
    return "" if reason == NO_REASON else reason


def _order_event(order: Order, receive_time: int) -> OrderEvent:
    filled = checked_unsigned(order.filled)
    state = _state_of(order)
    return OrderEvent(
        symbol=order.symbol,
        order_id=str(order.order_id),
        state=state,
        status=order.status,
        event=order.event,
        side=side_of(order.side),
        order_type=order.original_type or order.order_type,
        quantity=checked_unsigned(order.quantity),
        filled=filled,
        event_time=order.time * MILLISECOND,
        receive_time=receive_time,
        price=given(checked_unsigned(order.price)),
        trigger_price=given(checked_unsigned(order.trigger_price)),
        average_price=given(checked_unsigned(order.average_price)) if filled else None,
        time_in_force=order.time_in_force,
        client_id=order.client_id,
        reduce_only=order.reduce_only,
        post_only=order.time_in_force == POST_ONLY,
        liquidation=is_liquidation(order.client_id, order.order_type, order.event),
        reason=_reason(order) if state in ENDED else "",
        position_side=side_of_position(order.position_side),
        # Executions of one millisecond are counted by their trades; what ends an order comes after them.
        update=order.trade_id or (LAST if state in ENDED else 0),
    )


def _fill(order: Order, receive_time: int) -> Fill:
    """``m`` is ours; quantity and price of this execution alone."""
    return Fill(
        symbol=order.symbol,
        fill_id=str(order.trade_id),
        order_id=str(order.order_id),
        side=side_of(order.side),
        price=checked_unsigned(order.last_price),
        quantity=checked_unsigned(order.last_quantity),
        event_time=order.time * MILLISECOND,
        receive_time=receive_time,
        fee=checked(order.fee or Decimal(0)),
        fee_asset=order.fee_asset or "",
        maker=order.maker,
        realized_pnl=None if order.realized_pnl is None else checked(order.realized_pnl),
        sequence=order.trade_id,
        position_side=side_of_position(order.position_side),
        liquidation=is_liquidation(order.client_id, order.order_type, order.event),
        settlement=order.client_id.startswith(SETTLEMENTS),
    )


def account_update(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """What changed, as it is now. Why it changed stands in the ledger, with ids: here it has none."""
    update = _update(body)
    event_time = update.time * MILLISECOND
    balances = [
        Balance(asset=one.asset, total=checked(one.total), event_time=event_time, receive_time=receive_time)
        for one in update.changes.balances
    ]
    positions = [_position(one, event_time, receive_time) for one in update.changes.positions]
    return [*balances, *positions]


def _position(change: PositionChange, event_time: int, receive_time: int) -> Position:
    quantity = checked(change.quantity)
    return Position(
        symbol=change.symbol,
        quantity=quantity,
        event_time=event_time,
        receive_time=receive_time,
        position_side=side_of_position(change.side),
        average_price=given(checked_unsigned(change.entry)) if quantity else None,
        unrealized_pnl=checked(change.unrealized),
        realized_pnl=checked(change.realized),
        margin_mode=change.margin_mode,
        asset=change.asset,
    )
