"""Spot's private events: frames, and what they say as records."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_platform.domain.accounts import (
    AccountNote,
    AccountRecord,
    Balance,
    Fill,
    Movement,
    MovementKind,
    NoteKind,
    OrderEvent,
    Origin,
)
from trade_platform.exchanges.amounts import checked, checked_unsigned
from trade_platform.exchanges.binance.private.states import ENDED, state_of
from trade_platform.exchanges.binance.private.wire import (
    LAST,
    Count,
    Id,
    Milliseconds,
    Text,
    Word,
    given,
    side_of,
)
from trade_platform.exchanges.binance.records import MILLISECOND

TRADE = "TRADE"
NOTHING = "NONE"
POST_ONLY = "LIMIT_MAKER"


class ExecutionReport(
    msgspec.Struct,
    gc=False,
    rename={
        "symbol": "s", "client_id": "c", "original_client_id": "C", "side": "S", "order_type": "o",
        "time_in_force": "f", "quantity": "q", "price": "p", "trigger_price": "P", "event": "x",
        "status": "X", "reject_reason": "r", "expiry_reason": "eR", "order_id": "i", "last_quantity": "l",
        "filled": "z", "last_price": "L", "fee": "n", "fee_asset": "N", "time": "T", "trade_id": "t",
        "execution_id": "I", "working": "w", "maker": "m", "created": "O", "filled_quote": "Z",
        "last_quote": "Y", "strategy": "j",
    },
):  # fmt: skip
    symbol: Word
    client_id: Text
    side: str
    order_type: Word
    time_in_force: Text
    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    event: Word
    status: Word
    order_id: Id
    last_quantity: Decimal
    filled: Decimal
    last_price: Decimal
    time: Milliseconds
    trade_id: Count
    filled_quote: Decimal
    maker: bool
    working: bool
    original_client_id: Text | None = None
    """Before a cancellation, which has an id of its own."""
    reject_reason: Text = NOTHING
    expiry_reason: Text = ""
    fee: Decimal | None = None
    fee_asset: Text | None = None
    execution_id: Id = 0
    created: Milliseconds | None = None
    last_quote: Decimal | None = None
    strategy: int | None = None


class Held(msgspec.Struct, gc=False, rename={"asset": "a", "free": "f", "locked": "l"}):
    asset: Word
    free: Decimal
    locked: Decimal


class AccountPosition(msgspec.Struct, rename={"time": "u", "balances": "B"}):
    """``outboundAccountPosition``: assets that may have changed."""

    time: Milliseconds
    balances: list[Held]


class Change(msgspec.Struct, rename={"asset": "a", "change": "d", "time": "T"}):
    """``balanceUpdate``: came or went by no trade. ``externalLockUpdate``: was locked or freed."""

    asset: Word
    change: Decimal
    time: Milliseconds


_report = msgspec.json.Decoder(ExecutionReport).decode
_position = msgspec.json.Decoder(AccountPosition).decode
_change = msgspec.json.Decoder(Change).decode


def execution_report(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """How an order stands, and its fill where it was one."""
    report = _report(body)
    order = _order_event(report, receive_time)
    if report.event != TRADE or report.trade_id < 0 or not report.last_quantity:
        return [order]
    return [order, _fill(report, receive_time)]


def _order_event(report: ExecutionReport, receive_time: int) -> OrderEvent:
    state = state_of(report.status, report.order_type, working=report.working)
    return OrderEvent(
        symbol=report.symbol,
        order_id=str(report.order_id),
        state=state,
        status=report.status,
        event=report.event,
        side=side_of(report.side),
        order_type=report.order_type,
        quantity=checked_unsigned(report.quantity),
        filled=checked_unsigned(report.filled),
        event_time=report.time * MILLISECOND,
        receive_time=receive_time,
        price=given(checked_unsigned(report.price)),
        trigger_price=given(checked_unsigned(report.trigger_price)),
        average_price=average(report.filled_quote, report.filled),
        time_in_force=report.time_in_force,
        client_id=report.original_client_id or report.client_id,
        label=label_of(report.strategy),
        created=None if report.created is None else report.created * MILLISECOND,
        post_only=report.order_type == POST_ONLY,
        reason=reason_of(report) if state in ENDED else "",
        update=report.execution_id or (LAST if state in ENDED else 0),
    )


def _fill(report: ExecutionReport, receive_time: int) -> Fill:
    return Fill(
        symbol=report.symbol,
        fill_id=str(report.trade_id),
        order_id=str(report.order_id),
        side=side_of(report.side),
        price=checked_unsigned(report.last_price),
        quantity=checked_unsigned(report.last_quantity),
        event_time=report.time * MILLISECOND,
        receive_time=receive_time,
        fee=checked(report.fee or Decimal(0)),
        fee_asset=report.fee_asset or "",
        maker=report.maker,
        quote_quantity=None if report.last_quote is None else checked_unsigned(report.last_quote),
        sequence=report.trade_id,
    )


def reason_of(report: ExecutionReport) -> str:
    """Why it ended without being filled; NONE is no reason."""
    reason = report.expiry_reason or report.reject_reason
    return "" if reason == NOTHING else reason


def label_of(strategy: int | None) -> str:
    """Binance's strategies have numbers."""
    return "" if strategy is None else str(strategy)[:40]


def average(quote: Decimal, filled: Decimal) -> Decimal | None:
    """Of an order's fills; old orders have no quote quantity, which is then told as below 0."""
    if not checked_unsigned(filled) or checked(quote) <= 0:
        return None
    return checked(quote / filled)


def account_position(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """The assets as they are now."""
    position = _position(body)
    event_time = position.time * MILLISECOND
    return [
        balance(one.asset, one.free, one.locked, event_time, receive_time, Origin.STREAM)
        for one in position.balances
    ]


def balance(
    asset: str, free: Decimal, locked: Decimal, event_time: int, receive_time: int, origin: Origin
) -> Balance:
    """Spot has no debts: what is held is free or in orders."""
    free, locked = checked(free), checked(locked)
    return Balance(
        asset=asset,
        total=free + locked,
        event_time=event_time,
        receive_time=receive_time,
        available=free,
        locked=locked,
        origin=origin,
    )


def balance_update(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """A deposit, a withdrawal or a transfer: which of them is not said, and there is no id."""
    change = _change(body)
    amount = checked(change.change)
    return [
        Movement(
            movement_id=f"balanceUpdate:{change.asset}:{change.time}:{amount.normalize():f}",
            kind=MovementKind.TRANSFER,
            word="balanceUpdate",
            asset=change.asset,
            change=amount,
            event_time=change.time * MILLISECOND,
            receive_time=receive_time,
            origin=Origin.STREAM,
        )
    ]


def external_lock(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """Part of an asset was locked (or freed again) from outside of trading."""
    change = _change(body)
    text = f"externalLockUpdate {change.asset} {checked(change.change):f}"
    return [AccountNote(NoteKind.LOCK, text, change.time * MILLISECOND, receive_time)]
