"""What spot's REST interface tells of an account: rows, and what they say as records."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_platform.domain.accounts import FINAL, Fill, OrderEvent, Origin
from trade_platform.domain.model import Side
from trade_platform.exchanges.account import Page
from trade_platform.exchanges.amounts import checked, checked_unsigned
from trade_platform.exchanges.binance.private.rows import decoded, reading
from trade_platform.exchanges.binance.private.spot_records import (
    NOTHING,
    POST_ONLY,
    average,
    balance,
    label_of,
)
from trade_platform.exchanges.binance.private.states import ENDED, state_of
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
        "filled": "executedQty", "filled_quote": "cummulativeQuoteQty", "time_in_force": "timeInForce",
        "order_type": "type", "trigger_price": "stopPrice", "updated": "updateTime",
        "working": "isWorking", "expiry_reason": "expiryReason", "strategy": "strategyId",
    },
):  # fmt: skip
    symbol: Word
    order_id: Id
    client_id: Text
    price: Decimal
    quantity: Decimal
    filled: Decimal
    filled_quote: Decimal
    """Binance's own spelling; below 0 where it is not known."""
    status: Word
    time_in_force: Text
    order_type: Word
    side: str
    time: Milliseconds
    updated: Milliseconds = 0
    trigger_price: Decimal = Decimal(0)
    working: bool = True
    expiry_reason: Text = ""
    strategy: int | None = None


class TradeRow(
    msgspec.Struct,
    gc=False,
    rename={
        "trade_id": "id", "order_id": "orderId", "quantity": "qty", "quote": "quoteQty",
        "fee": "commission", "fee_asset": "commissionAsset", "buyer": "isBuyer", "maker": "isMaker",
    },
):  # fmt: skip
    symbol: Word
    trade_id: Id
    order_id: Id
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: Text
    time: Milliseconds
    buyer: bool
    maker: bool


class Held(msgspec.Struct, gc=False):
    asset: Word
    free: Decimal
    locked: Decimal


class Account(msgspec.Struct, rename={"updated": "updateTime"}):
    balances: list[Held]
    updated: Milliseconds = 0


_orders = msgspec.json.Decoder(list[OrderRow])
_order = msgspec.json.Decoder(OrderRow)
_trades = msgspec.json.Decoder(list[TradeRow])
_account = msgspec.json.Decoder(Account)


def order_event(row: OrderRow, receive_time: int, origin: Origin) -> OrderEvent:
    """How an order stands; what happened last is not told."""
    state = state_of(row.status, row.order_type, working=row.working)
    reason = "" if row.expiry_reason == NOTHING else row.expiry_reason
    return OrderEvent(
        symbol=row.symbol,
        order_id=str(row.order_id),
        state=state,
        status=row.status,
        event="",
        side=side_of(row.side),
        order_type=row.order_type,
        quantity=checked_unsigned(row.quantity),
        filled=checked_unsigned(row.filled),
        event_time=(row.updated or row.time) * MILLISECOND,
        receive_time=receive_time,
        price=given(checked_unsigned(row.price)),
        trigger_price=given(checked_unsigned(row.trigger_price)),
        average_price=average(row.filled_quote, row.filled),
        time_in_force=row.time_in_force,
        client_id=row.client_id,
        label=label_of(row.strategy),
        created=row.time * MILLISECOND,
        post_only=row.order_type == POST_ONLY,
        reason=reason if state in ENDED else "",
        update=LAST if state in FINAL else 0,
        origin=origin,
    )


def fill(row: TradeRow, receive_time: int) -> Fill:
    """The same record that the stream tells of it."""
    return Fill(
        symbol=row.symbol,
        fill_id=str(row.trade_id),
        order_id=str(row.order_id),
        side=Side.BUY if row.buyer else Side.SELL,
        price=checked_unsigned(row.price),
        quantity=checked_unsigned(row.quantity),
        event_time=row.time * MILLISECOND,
        receive_time=receive_time,
        fee=checked(row.fee),
        fee_asset=row.fee_asset,
        maker=row.maker,
        quote_quantity=checked_unsigned(row.quote),
        sequence=row.trade_id,
        origin=Origin.HISTORY,
    )


@reading
def open_orders(body: bytes, receive_time: int) -> Page:
    """All that wait."""
    rows = decoded(_orders, body)
    return Page(records=[order_event(row, receive_time, Origin.SNAPSHOT) for row in rows])


@reading
def one_order(body: bytes, receive_time: int) -> Page:
    """How one order stands."""
    return Page(records=[order_event(decoded(_order, body), receive_time, Origin.HISTORY)])


@reading
def balances(body: bytes, receive_time: int) -> Page:
    """What is held; an asset that is not told is not held."""
    account = decoded(_account, body)
    event_time = account.updated * MILLISECOND or receive_time
    return Page(
        records=[
            balance(one.asset, one.free, one.locked, event_time, receive_time, Origin.SNAPSHOT)
            for one in account.balances
        ]
    )


@reading
def orders(body: bytes, receive_time: int) -> list[Row]:
    """A page of all orders of a symbol."""
    return [
        Row(row.order_id, row.time, order_event(row, receive_time, Origin.HISTORY))
        for row in decoded(_orders, body)
    ]


@reading
def fills(body: bytes, receive_time: int) -> list[Row]:
    """A page of our trades of a symbol."""
    return [Row(row.trade_id, row.time, fill(row, receive_time)) for row in decoded(_trades, body)]
