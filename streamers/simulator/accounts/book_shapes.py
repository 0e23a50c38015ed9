"""The nouns of a simulated account: orders, fills, positions, movements, and what happens to them.

Everything is frozen: who changes something puts another one in its place. Times are microseconds UTC as the
exchange's own clock shows them; quantities are in the instrument's unit of the wire (Deribit's inverse
contracts: USD), signed only in positions.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

Side: TypeAlias = Literal["buy", "sell"]
OrderKind: TypeAlias = Literal["limit", "market", "stop_limit", "stop_market", "take_limit", "take_market"]
State: TypeAlias = Literal["untriggered", "triggered", "open", "filled", "cancelled", "expired", "rejected"]
Happening: TypeAlias = Literal["placed", "amended", "cancelled", "triggered", "expired", "rejected"]
Kind: TypeAlias = Literal[
    "trade",
    "fee",
    "realized_pnl",
    "settlement",
    "funding",
    "transfer",
    "deposit",
    "withdrawal",
    "insurance",
    "delivery",
]
"""``delivery``: what a position brought whose instrument expired; it closes without a fill."""
WAITING: Final = ("open", "untriggered")
ZERO: Final = Decimal(0)


class SimOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it stands. A stop that was triggered is over; the order it made names it as its parent."""

    order_id: str
    number: int
    """1, 2, 3 … in this account."""
    symbol: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    state: State
    created: int
    updated: int
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    filled: Decimal = ZERO
    spent: Decimal = ZERO
    """Σ price times quantity of its fills."""
    fee: Decimal = ZERO
    time_in_force: str = "GTC"
    """GTC, IOC, FOK or GTX, whatever the exchange calls them."""
    client_id: str = ""
    label: str = ""
    parent_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    liquidation: bool = False
    amended: bool = False
    reason: str = ""
    """Why it ended, by the exchange's word."""
    position_side: str = ""
    connection: str = ""
    """Of cancel-on-disconnect: who placed it; empty: nobody that can be lost."""

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    @property
    def average(self) -> Decimal | None:
        """Of its fills, weighted by quantity; None before the first."""
        return self.spent / self.filled if self.filled else None


class SimFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one order. A print of the market fills at most one order of an account."""

    fill_id: str
    """The public trade's own id."""
    number: int
    """The public trade's sequence: unique per account and symbol, ascending."""
    order_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    time: int
    maker: bool
    fee: Decimal = ZERO
    """Below 0: a rebate."""
    fee_asset: str = ""
    realized: Decimal | None = None
    """Before the fee, in the asset of settlement; None where nothing is realised (spot)."""
    order_kind: OrderKind = "limit"
    client_id: str = ""
    label: str = ""
    position_side: str = ""
    liquidation: bool = False


class SimPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one contract. ``quantity`` is the sum of its fills, signed."""

    symbol: str
    asset: str
    """In which it is settled."""
    position_side: str = ""
    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    """Average price of what is held."""
    basis: Decimal = ZERO
    """Average price since the last settlement: what was held then counts by the price of then."""
    updated: int = 0
    realized: Decimal = ZERO
    """Ever, before fees and funding."""
    session_realized: Decimal = ZERO
    """Since the last settlement, funding included (exchanges without sessions leave it 0)."""
    session_funding: Decimal = ZERO
    settlement_price: Decimal | None = None


class SimMovement(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one asset's cash. ``number`` is contiguous in an account."""

    number: int
    time: int
    kind: Kind
    asset: str
    change: Decimal
    balance: Decimal
    """Of the asset after it."""
    symbol: str = ""
    fill_id: str = ""
    order_id: str = ""
    fee: Decimal | None = None
    """Part of ``change`` (with the opposite sign), where one row holds both."""
    funding: Decimal | None = None
    realized: Decimal | None = None
    unrealized: Decimal | None = None
    side: str = ""
    """By the exchange's words."""
    quantity: Decimal | None = None
    price: Decimal | None = None
    position: Decimal | None = None
    """After it."""
    maker: bool | None = None
    info: str = ""


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A movement that is not in the book yet: without number, time and balance."""

    kind: Kind
    asset: str
    change: Decimal
    symbol: str = ""
    fill_id: str = ""
    order_id: str = ""
    fee: Decimal | None = None
    funding: Decimal | None = None
    realized: Decimal | None = None
    unrealized: Decimal | None = None
    side: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    position: Decimal | None = None
    maker: bool | None = None
    info: str = ""


class Ordered(msgspec.Struct, frozen=True, tag="ordered"):
    """An order was placed, changed or ended without a fill."""

    order: SimOrder
    what: Happening


class Executed(msgspec.Struct, frozen=True, tag="executed"):
    """An order was filled, partly or wholly, and all that came of it."""

    order: SimOrder
    fill: SimFill
    positions: tuple[SimPosition, ...] = ()
    movements: tuple[SimMovement, ...] = ()


class Moved(msgspec.Struct, frozen=True, tag="moved"):
    """Cash or positions changed without a fill: settlement, funding, transfer, deposit."""

    why: str
    time: int
    positions: tuple[SimPosition, ...] = ()
    movements: tuple[SimMovement, ...] = ()


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """Something about the account that is neither order nor money: ``lock``, ``access``, ``margin_call`` …"""

    what: str
    text: str
    time: int


BookEvent: TypeAlias = Ordered | Executed | Moved | Noted
