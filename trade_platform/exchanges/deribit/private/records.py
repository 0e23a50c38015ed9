"""From Deribit's private payloads to the records of an account: pure functions, no state."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

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
    OrderState,
    Origin,
    Position,
)
from trade_platform.exchanges.amounts import checked, checked_optional, checked_unsigned
from trade_platform.exchanges.deribit.private import wire
from trade_platform.exchanges.deribit.records import MILLISECOND
from trade_platform.exchanges.session import ProtocolViolation

ZERO: Final = Decimal(0)
STATES: Final[Mapping[str, OrderState]] = {
    "open": OrderState.OPEN,
    "untriggered": OrderState.UNTRIGGERED,
    "triggered": OrderState.TRIGGERED,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELLED,
    "rejected": OrderState.REJECTED,
}
"""There is no partially_filled: what is filled in part is open."""
MOVEMENTS: Final[Mapping[str, MovementKind]] = {
    "trade": MovementKind.TRADE,
    "settlement": MovementKind.SETTLEMENT,
    "delivery": MovementKind.SETTLEMENT,
    "options_settlement_summary": MovementKind.SETTLEMENT,
    "deposit": MovementKind.DEPOSIT,
    "withdrawal": MovementKind.WITHDRAWAL,
    "transfer": MovementKind.TRANSFER,
    "swap": MovementKind.TRANSFER,  # one asset out, another in: two rows
    "correction": MovementKind.OTHER,
}
AT_MARKET: Final = frozenset({"market", "stop_market", "take_market"})
FUNDED: Final = frozenset({"settlement", "delivery"})
"""Only here is funding part of the change of cash; elsewhere it waits for the next settlement."""
FINEST: Final = 8
"""Decimals of an order's filled amount that tell two of its moments apart."""
_FILLED_BITS: Final = 60
_EARLY, _LATE = frozenset({OrderState.UNTRIGGERED}), frozenset({OrderState.OPEN, OrderState.UNKNOWN})


def order_event(order: wire.Order, receive_time: int, origin: Origin) -> OrderEvent:
    """How an order stands; the same whichever way it was told."""
    changed = order.last_update_timestamp or order.timestamp or order.creation_timestamp
    if order.order_id is None or changed is None:
        raise ProtocolViolation("an order without an id or a time")
    filled = checked_unsigned(order.filled_amount or ZERO)
    word, _, why = order.order_state.partition(":")  # "rejected:reduce_direction", of triggers
    state = STATES.get(word, OrderState.UNKNOWN)
    created = order.creation_timestamp
    return OrderEvent(
        symbol=order.instrument_name,
        order_id=wire.text(order.order_id),
        state=state,
        status=order.order_state,
        event="",
        side=order.direction,
        order_type=order.order_type,
        quantity=checked_unsigned(order.amount),
        filled=filled,
        event_time=changed * MILLISECOND,
        receive_time=receive_time,
        price=None if order.order_type in AT_MARKET else checked_optional(wire.price_of(order.price)),
        trigger_price=checked_optional(order.trigger_price),
        average_price=checked_optional(order.average_price) if filled else None,
        time_in_force=order.time_in_force or "",
        label=order.label or "",
        parent_id=wire.text(order.trigger_order_id),
        created=None if created is None else created * MILLISECOND,
        reduce_only=wire.said(order.reduce_only),
        post_only=wire.said(order.post_only),
        liquidation=wire.said(order.is_liquidation),
        reason=order.cancel_reason or why,
        update=moment(state, filled, replaced=wire.said(order.replaced)),
        origin=origin,
    )


def moment(state: OrderState, filled: Decimal, *, replaced: bool) -> int:
    """Which moment of an order's life this is, of those that share a millisecond; below 2^63.

    Deribit does not count them, but an order only goes one way: it ends once, is amended once for ever,
    and its fills grow. What is made of these is higher for what is later, by stream and by REST alike.
    """
    phase = 0 if state in _EARLY else 1 if state in _LATE else 2
    grown = min(int(filled.scaleb(FINEST)), (1 << _FILLED_BITS) - 1)
    return (phase << (_FILLED_BITS + 1)) | (int(replaced) << _FILLED_BITS) | grown


def triggered_event(entry: wire.Order, receive_time: int) -> OrderEvent:
    """An entry of the history of triggers: there ``order_id`` is the order that came of it, if any."""
    own = entry.order_id if entry.trigger_order_id is None else entry.trigger_order_id
    stop = msgspec.structs.replace(entry, order_id=own, trigger_order_id=None)
    return order_event(stop, receive_time, Origin.HISTORY)


def fill(trade: wire.Trade, receive_time: int, origin: Origin) -> Fill:
    """Our execution; a self-trade gives two, of one trade id and two orders."""
    ours, whose = trade.liquidity or "", trade.liquidation or ""
    return Fill(
        symbol=trade.instrument_name,
        fill_id=wire.text(trade.trade_id),
        order_id=wire.text(trade.order_id),
        side=trade.direction,
        price=checked(trade.price),  # that of a combo may be below zero
        quantity=checked_unsigned(trade.amount),
        event_time=trade.timestamp * MILLISECOND,
        receive_time=receive_time,
        fee=checked(trade.fee or ZERO),
        fee_asset=trade.fee_currency or "",
        maker={"M": True, "T": False}.get(ours),
        realized_pnl=checked_optional(trade.profit_loss),
        sequence=trade.trade_seq,
        label=trade.label or "",
        liquidation=trade.order_type == "liquidation" or (bool(ours) and ours in whose),
        combo=is_combo(trade),
        origin=origin,
    )


def is_combo(trade: wire.Trade) -> bool:
    """The net row of a combo: its legs stand on it, or its name is a combo's (BTC-FS-25DEC26_PERP)."""
    if trade.combo_id == trade.instrument_name or not wire.is_empty(trade.legs):
        return True
    words = trade.instrument_name.split("-")
    return len(words) > 2 and not words[1][:1].isdigit()


def position(row: wire.Position, event_time: int, receive_time: int, origin: Origin) -> Position:
    """``size`` is signed already; where it is not, ``direction`` says it."""
    size = checked(row.size)
    signed = {"buy": size.copy_abs(), "sell": negative(size.copy_abs())}.get(row.direction, size)
    return Position(
        symbol=row.instrument_name,
        quantity=signed,
        event_time=event_time,
        receive_time=receive_time,
        average_price=checked_optional(row.average_price) if size else None,
        mark_price=checked_optional(row.mark_price),
        liquidation_price=checked_optional(row.estimated_liquidation_price),
        unrealized_pnl=checked_optional(row.floating_profit_loss),
        realized_pnl=checked_optional(row.realized_profit_loss),
        initial_margin=checked_optional(row.initial_margin),
        maintenance_margin=checked_optional(row.maintenance_margin),
        asset=settled_in(row.instrument_name),
        origin=origin,
    )


def negative(value: Decimal) -> Decimal:
    """With the other sign, and not rounded to a context's precision as ``-value`` is."""
    return value.copy_negate() if value else ZERO


def settled_in(symbol: str) -> str:
    """BTC-PERPETUAL in BTC, ETH_USDC-PERPETUAL in USDC: the one thing that a name says for sure."""
    base, _, quote = symbol.partition("-")[0].partition("_")
    return quote or base


def balance(row: wire.Portfolio, event_time: int, receive_time: int, origin: Origin) -> Balance:
    """One currency. Profit of a running session is not in ``balance`` until the settlement."""
    return Balance(
        asset=row.currency,
        total=checked(row.balance),
        event_time=event_time,
        receive_time=receive_time,
        available=checked_optional(row.available_funds),
        locked=checked_optional(row.spot_reserve),
        equity=checked_optional(row.equity),
        initial_margin=checked_optional(row.initial_margin),
        maintenance_margin=checked_optional(row.maintenance_margin),
        session_realized=checked_optional(row.session_rpl),
        session_unrealized=checked_optional(row.session_upl),
        shared_margin=wire.said(row.cross_collateral_enabled),
        origin=origin,
    )


def movement(row: wire.LogRow, receive_time: int) -> Movement:
    """A trade that crosses zero has two rows, which share its id.

    ``fee`` is what was paid, as on a fill: ``change`` has it with the other sign. ``funding`` is signed as
    ``change``: what was paid is below 0.
    """
    funding = checked_optional(row.interest_pl) if row.type in FUNDED else None
    return Movement(
        movement_id=wire.text(row.id),
        kind=MOVEMENTS.get(row.type, MovementKind.OTHER),
        word=row.type,
        asset=row.currency,
        change=checked(row.change or ZERO),
        event_time=row.timestamp * MILLISECOND,
        receive_time=receive_time,
        balance=checked_optional(row.balance),
        symbol=row.instrument_name or "",
        fill_id=wire.text(row.trade_id),
        order_id=wire.text(row.order_id),
        fee=checked_optional(row.commission),
        funding=funding,
        sequence=row.user_seq,
    )


def changes(data: wire.Changes, receive_time: int, origin: Origin = Origin.STREAM) -> list[AccountRecord]:
    """Orders, fills and positions of one event; a position has no time of its own but that of the event."""
    orders = [order_event(one, receive_time, origin) for one in wire.many(data.orders, data.order)]
    fills = [fill(one, receive_time, origin) for one in wire.many(data.trades, data.trade)]
    times = [*(one.event_time for one in orders), *(one.event_time for one in fills)]
    at = max(times, default=receive_time)
    held = wire.many(data.positions, data.position)
    return [*orders, *fills, *(position(one, at, receive_time, origin) for one in held)]


def lock_note(lock: wire.Lock, receive_time: int) -> AccountNote:
    """Trading in one currency, or in all, was locked or unlocked."""
    what = lock.currency or "ALL"
    text = f"{'locked' if wire.said(lock.locked) else 'unlocked'}: {what}"
    return AccountNote(NoteKind.LOCK, text, receive_time, receive_time)


def access_note(access: wire.Access, receive_time: int) -> AccountNote:
    """Who did what from where, in the exchange's words."""
    place = ", ".join(word for word in (access.city, access.country) if word)
    origin = f" from {access.ip}" if access.ip else ""
    text = f"{access.log or 'access'}{origin}{f' ({place})' if place else ''}"
    at = receive_time if access.timestamp is None else access.timestamp * MILLISECOND
    return AccountNote(NoteKind.ACCESS, text, at, receive_time)


def protection_note(protection: wire.Protection, receive_time: int) -> AccountNote:
    """Quotes are frozen until a moment, or until somebody resets them."""
    until = f"until {protection.frozen_until} ms" if protection.frozen_until else "until it is reset"
    text = f"market maker protection of {protection.index_name or 'all'}: quotes are frozen {until}"
    return AccountNote(NoteKind.SETTING, text, receive_time, receive_time)
