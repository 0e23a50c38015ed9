"""USD-M's private events that are neither order nor money in themselves, and its conditional orders."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_platform.domain.accounts import AccountNote, AccountRecord, NoteKind, OrderEvent, OrderState
from trade_platform.exchanges.amounts import checked, checked_unsigned
from trade_platform.exchanges.binance.private.states import ALGO_STATES, ENDED
from trade_platform.exchanges.binance.private.usdm_records import BOTH, POST_ONLY, side_of_position
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

ALGO = "algo-"
"""Before the id of a conditional order: they are counted apart from the others."""
MOST_NAMED = 5
"""Positions that a note of a margin call names."""


class AlgoOrder(
    msgspec.Struct,
    gc=False,
    rename={
        "client_id": "caid", "algo_id": "aid", "order_type": "o", "symbol": "s", "side": "S",
        "position_side": "ps", "time_in_force": "f", "quantity": "q", "status": "X", "order_id": "ai",
        "trigger_price": "tp", "price": "p", "reduce_only": "R", "reason": "rm",
    },
):  # fmt: skip
    client_id: Text
    algo_id: Id
    order_type: Word
    symbol: Word
    side: str
    quantity: Decimal
    status: Word
    trigger_price: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    order_id: Id | Text = ""
    """Of the order that it made."""
    position_side: Text = BOTH
    time_in_force: Text = ""
    reduce_only: bool = False
    reason: Text = ""


class AlgoUpdate(msgspec.Struct, rename={"time": "T", "order": "o"}):
    time: Milliseconds
    order: AlgoOrder


class CalledPosition(
    msgspec.Struct,
    gc=False,
    rename={"symbol": "s", "side": "ps", "quantity": "pa", "maintenance_margin": "mm"},
):
    symbol: Word
    quantity: Decimal
    maintenance_margin: Decimal
    side: Text = BOTH


class MarginCall(msgspec.Struct, rename={"time": "E", "wallet": "cw", "positions": "p"}):
    time: Milliseconds
    wallet: Decimal | None = None
    """Of cross margin; absent where the position is isolated."""
    positions: list[CalledPosition] = []


class Leverage(msgspec.Struct, gc=False, rename={"symbol": "s", "leverage": "l"}):
    symbol: Word
    leverage: int


class Mode(msgspec.Struct, gc=False, rename={"multi_assets": "j"}):
    multi_assets: bool


class Configuration(msgspec.Struct, rename={"time": "E", "leverage": "ac", "mode": "ai"}):
    time: Milliseconds
    leverage: Leverage | None = None
    mode: Mode | None = None


_algo = msgspec.json.Decoder(AlgoUpdate).decode
_call = msgspec.json.Decoder(MarginCall).decode
_configuration = msgspec.json.Decoder(Configuration).decode


def algo_update(body: msgspec.Raw, receive_time: int) -> tuple[OrderEvent, str]:
    """How a conditional order stands, and the id of the order that it made; empty before that."""
    update = _algo(body)
    order = update.order
    event_time = update.time * MILLISECOND
    state = ALGO_STATES.get(order.status, OrderState.UNKNOWN)
    event = OrderEvent(
        symbol=order.symbol,
        order_id=f"{ALGO}{order.algo_id}",
        state=state,
        status=order.status,
        event=order.status,
        side=side_of(order.side),
        order_type=order.order_type,
        quantity=checked_unsigned(order.quantity),
        filled=Decimal(0),  # the order that it makes is filled, and is told of by itself
        event_time=event_time,
        receive_time=receive_time,
        price=given(checked_unsigned(order.price)),
        trigger_price=given(checked_unsigned(order.trigger_price)),
        time_in_force=order.time_in_force,
        client_id=order.client_id,
        reduce_only=order.reduce_only,
        post_only=order.time_in_force == POST_ONLY,
        reason=order.reason if state in ENDED else "",  # it is filled in where there is none, too
        position_side=side_of_position(order.position_side),
        update=LAST if state in ENDED else 0,
    )
    made = str(order.order_id)
    return event, "" if made == "0" else made


def margin_call(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """Which positions are in danger."""
    call = _call(body)
    named = [
        f"{one.symbol} {side_of_position(one.side)} {checked(one.quantity):f} needs "
        f"{checked(one.maintenance_margin):f}".replace("  ", " ")
        for one in call.positions[:MOST_NAMED]
    ]
    more = [f"and {len(call.positions) - MOST_NAMED} more"] if len(call.positions) > MOST_NAMED else []
    wallet = [] if call.wallet is None else [f"cross wallet {checked(call.wallet):f}"]
    text = "; ".join(["margin call", *wallet, *named, *more])
    return [AccountNote(NoteKind.MARGIN_CALL, text, call.time * MILLISECOND, receive_time)]


def configuration(body: msgspec.Raw, receive_time: int) -> list[AccountRecord]:
    """Leverage of a symbol, or whether assets share their margin."""
    told = _configuration(body)
    texts = []
    if told.leverage is not None:
        texts.append(f"leverage of {told.leverage.symbol} {told.leverage.leverage}")
    if told.mode is not None:
        texts.append(f"multi-assets margin {'on' if told.mode.multi_assets else 'off'}")
    return [AccountNote(NoteKind.SETTING, text, told.time * MILLISECOND, receive_time) for text in texts]
