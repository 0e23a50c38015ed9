"""The nouns of an account: orders, fills, balances, positions and movements, as the exchange tells them.

Every record is frozen and travels on ``account:{exchange}:{account}`` as a JSON array in field order, so
new fields go to the end, with a default. Amounts are ``Decimal`` made from the exchange's own text; times
are integer microseconds UTC: ``event_time`` is the exchange's clock, ``receive_time`` ours. Ids are text,
verbatim: some are longer than 2^53. Units and sources of every field: ``docs/semantics.md``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.model import Side


class Origin(StrEnum):
    """How we came to know it."""

    STREAM = "stream"
    """The exchange told it by itself."""
    SNAPSHOT = "snapshot"
    """It was asked how things stand now."""
    HISTORY = "history"
    """It was asked what happened."""


class OrderState(StrEnum):
    """What an order is, in the words of all exchanges; theirs stands in ``status``."""

    UNTRIGGERED = "untriggered"
    """Waits for its trigger; not in the book."""
    TRIGGERED = "triggered"
    """Its trigger came; another order, whose ``parent_id`` names it, is in the book."""
    OPEN = "open"
    """In the book, partly filled or not."""
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """A word of the exchange that we do not know."""


FINAL: Final = frozenset(
    {
        OrderState.TRIGGERED,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
    }
)
"""An order in one of these never changes again."""


class OrderEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How an order stood at one moment. (symbol, order_id, event_time, update, event) is its identity."""

    symbol: str
    order_id: str
    state: OrderState
    status: str
    """The exchange's word, verbatim."""
    event: str
    """What happened to it, verbatim (NEW, TRADE, …); empty where only its state is told."""
    side: Side
    order_type: str
    quantity: Decimal
    filled: Decimal
    """Of all its fills so far."""
    event_time: int
    """When it last changed."""
    receive_time: int
    price: Decimal | None = None
    """None where it takes what the market gives."""
    trigger_price: Decimal | None = None
    average_price: Decimal | None = None
    """Of its fills; None before the first."""
    time_in_force: str = ""
    client_id: str = ""
    """What the trader called it."""
    label: str = ""
    """Its strategy, where the exchange has labels."""
    parent_id: str = ""
    """The conditional order that made it."""
    created: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    liquidation: bool = False
    reason: str = ""
    """Why it was cancelled, rejected or expired, verbatim."""
    position_side: str = ""
    """LONG or SHORT in hedge mode; empty else."""
    update: int = 0
    """Orders what shares a microsecond, where the exchange counts (spot's execution id)."""
    origin: Origin = Origin.STREAM


class Fill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Our own execution. (symbol, fill_id, order_id) is its identity: a self-trade fills two orders."""

    symbol: str
    fill_id: str
    order_id: str
    side: Side
    """Ours."""
    price: Decimal
    quantity: Decimal
    event_time: int
    receive_time: int
    fee: Decimal = Decimal(0)
    """What we paid; below 0: a rebate."""
    fee_asset: str = ""
    maker: bool | None = None
    realized_pnl: Decimal | None = None
    """What the exchange says that it realised, before the fee; None where it does not say."""
    quote_quantity: Decimal | None = None
    sequence: int | None = None
    """Of the public trade, where the exchange names it."""
    label: str = ""
    position_side: str = ""
    liquidation: bool = False
    settlement: bool = False
    combo: bool = False
    """The net row of a combo: it moves no position, its legs do."""
    origin: Origin = Origin.STREAM


class Balance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the account holds of one asset. (asset, event_time) is its identity."""

    asset: str
    total: Decimal
    """Cash: the wallet's balance, without what open positions would bring."""
    event_time: int
    receive_time: int
    available: Decimal | None = None
    locked: Decimal | None = None
    """In open orders."""
    equity: Decimal | None = None
    """Cash and what open positions would bring."""
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    session_realized: Decimal | None = None
    """Deribit: realised since the last settlement, not in ``total`` yet."""
    session_unrealized: Decimal | None = None
    shared_margin: bool = False
    """Margins are of all assets together: never to be added up."""
    origin: Origin = Origin.STREAM


class Position(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open position; quantity 0: closed. (symbol, position_side, event_time) is its identity."""

    symbol: str
    quantity: Decimal
    """Signed, in the instrument's own unit: below 0 is short."""
    event_time: int
    receive_time: int
    position_side: str = ""
    average_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    realized_pnl: Decimal | None = None
    """As the exchange counts it; since when differs."""
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    margin_mode: str = ""
    asset: str = ""
    """In which it is settled."""
    origin: Origin = Origin.STREAM


class MovementKind(StrEnum):
    """Why an amount of an asset changed; the exchange's word stands in ``word``."""

    TRADE = "trade"
    """What a fill brought and took, without its fee where that is told apart."""
    FEE = "fee"
    REALIZED_PNL = "realized_pnl"
    SETTLEMENT = "settlement"
    """Profit and loss of a session or an expiry, paid out."""
    FUNDING = "funding"
    TRANSFER = "transfer"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    INSURANCE = "insurance"
    REBATE = "rebate"
    OTHER = "other"
    """A word that we do not know: counted, never dropped."""


class Movement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row of the exchange's ledger. (movement_id, asset) is its identity."""

    movement_id: str
    """Made of what the exchange guarantees to be unique: the same row has the same id, however it came."""
    kind: MovementKind
    word: str
    asset: str
    change: Decimal
    """Signed: below 0 leaves the account."""
    event_time: int
    receive_time: int
    balance: Decimal | None = None
    """Of the asset after it, where the exchange says so."""
    symbol: str = ""
    fill_id: str = ""
    order_id: str = ""
    fee: Decimal | None = None
    """Part of ``change`` that is a fee, where one row holds both."""
    funding: Decimal | None = None
    """Part of ``change`` that is funding, where one row holds both."""
    sequence: int | None = None
    """Contiguous per user on Deribit (user_seq): what jumps is missing."""
    origin: Origin = Origin.HISTORY


class NoteKind(StrEnum):
    """What an exchange says of the account itself."""

    LOCK = "lock"
    ACCESS = "access"
    """Somebody logged in, a key was made: Deribit's access log."""
    MARGIN_CALL = "margin_call"
    SETTING = "setting"
    """Leverage, margin mode, and the like."""
    ENDED = "ended"
    """The exchange ended the private stream; the socket may live on."""
    REFUSED = "refused"
    """The key is not taken (any more)."""


class AccountNote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something about the account that is neither order nor money. All fields are its identity."""

    kind: NoteKind
    text: str
    event_time: int
    receive_time: int


class Blindness(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Private messages of [since, until) may be missing; ``until`` None: it lasts. Read again by REST."""

    since: int
    reason: str
    receive_time: int
    until: int | None = None


AccountRecord: TypeAlias = OrderEvent | Fill | Balance | Position | Movement | AccountNote | Blindness
"""Everything that can be said about an account."""

ACCOUNT_KINDS: Final[dict[str, type[AccountRecord]]] = {
    "order_event": OrderEvent,
    "fill": Fill,
    "balance": Balance,
    "position": Position,
    "movement": Movement,
    "account_note": AccountNote,
    "blindness": Blindness,
}
"""By their names on the bus."""
