"""The truth of one simulated account: what it ordered, what was filled, what it holds and why.

How an exchange's half plugs in
-------------------------------
1. It is a ``House``: it makes ids and says what a fill costs and brings (``trade``): a fee, a position
   (``positions.after_fill`` does the arithmetic) and ``Posting``s, which the book turns into movements with
   running balances. ``affords`` keeps the trader from ordering what cannot be paid.
2. It reads ``book.take()``: every ``BookEvent`` since the last call, in order, each holding what it changed
   *as it stood then*. Those it turns into texts for ``hub.say`` (see ``desk.Half``).
3. It answers REST from ``book.orders``, ``fills``, ``balances``, ``positions`` and ``movements``.
4. Whoever trades calls ``place``, ``amend``, ``cancel``, ``trigger``, ``execute``; what moves money without a
   fill (funding, settlement, a transfer) calls ``post``. Nothing else changes a book: each of them makes one
   event, and ``apply`` folds it in. A restart replays the events (``journal.py``) and is where it was.

Always true: per asset opening + Σ changes = balance, exactly; a position = Σ signed quantities of its fills;
movement numbers are 1, 2, 3 … without a hole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from streamers.simulator.accounts.book_shapes import (
    ZERO,
    BookEvent,
    Executed,
    Happening,
    Moved,
    Noted,
    Ordered,
    OrderKind,
    Posting,
    Side,
    SimFill,
    SimMovement,
    SimOrder,
    SimPosition,
)
from streamers.simulator.listing import Listing

Ending: TypeAlias = Literal["cancelled", "expired"]


class Draft(NamedTuple):
    """A fill that is about to be."""

    order: SimOrder
    listing: Listing
    price: Decimal
    quantity: Decimal
    time: int
    fill_id: str
    maker: bool


class Outcome(NamedTuple):
    """What a fill costs and brings."""

    fee: Decimal
    fee_asset: str
    realized: Decimal | None = None
    positions: tuple[SimPosition, ...] = ()
    postings: tuple[Posting, ...] = ()


class House(Protocol):
    """An exchange's own rules."""

    spawns: bool
    """A stop that is triggered is over and makes another order; else it goes on under its own id."""
    leftover: Ending
    """What becomes of the rest of an order that must be filled at once."""

    def trades(self, listing: Listing) -> bool:
        """Whether accounts that name no symbols trade this one."""

    def order_id(self, listing: Listing, kind: OrderKind, number: int) -> str:
        """The name of an account's ``number``-th order."""

    def fill_id(self, listing: Listing, number: int) -> str:
        """The name of the public trade with this sequence."""

    def trade(self, book: Book, draft: Draft) -> Outcome: ...

    def affords(
        self, book: Book, listing: Listing, side: Side, quantity: Decimal, price: Decimal
    ) -> bool: ...


class Unacceptable(Exception):
    """What was asked of an order cannot be done; the sentence says why."""


class Book:
    """Orders, fills, balances, positions and movements of one account."""

    def __init__(
        self,
        name: str,
        opening: Mapping[str, Decimal],
        house: House,
        listing_of: Callable[[str], Listing],
    ) -> None:
        self.name = name
        self.house = house
        self.listing_of = listing_of
        self.opening = dict(opening)
        self.orders: dict[str, SimOrder] = {}
        self.fills: list[SimFill] = []
        self.balances: dict[str, Decimal] = dict(opening)
        self.positions: dict[tuple[str, str], SimPosition] = {}
        """By (symbol, position side); one that was closed stays with quantity 0."""
        self.movements: list[SimMovement] = []
        self.notes: list[Noted] = []
        self._numbers: dict[str, int] = {}
        self.waits: dict[str, None] = {}
        """Orders that wait, oldest first."""
        self._events: deque[BookEvent] = deque()
        self.unwritten: list[BookEvent] = []
        """What is in no journal yet."""

    # --- what is asked ----------------------------------------------------------------------------------

    def waiting(self, symbol: str = "") -> list[SimOrder]:
        """Orders that wait, triggers included, oldest first."""
        orders = (self.orders[order_id] for order_id in self.waits)
        return [one for one in orders if symbol in ("", one.symbol)]

    def held(self, symbol: str, position_side: str = "") -> SimPosition:
        """A position, also one that never was."""
        known = self.positions.get((symbol, position_side))
        return known or SimPosition(
            symbol=symbol, position_side=position_side, asset=self.listing_of(symbol).settlement
        )

    def fills_of(self, order_id: str) -> list[SimFill]:
        return [fill for fill in self.fills if fill.order_id == order_id]

    def last_number(self, symbol: str) -> int:
        """Sequence of the newest public trade that filled something here; 0 before the first."""
        return self._numbers.get(symbol, 0)

    def take(self) -> list[BookEvent]:
        """What happened since the last call, for those who tell it."""
        events, self._events = list(self._events), deque()
        return events

    # --- what is done -----------------------------------------------------------------------------------

    def place(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        time: int,
        *,
        kind: OrderKind = "limit",
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        parent: SimOrder | None = None,
        **more: object,
    ) -> SimOrder:
        """A new order; whether it can be filled at once is the trader's affair. ``more``: fields of it."""
        number = len(self.orders) + 1
        shown = kind if parent is None else plain_kind(kind)
        fields: dict[str, object] = {
            "order_id": self.house.order_id(self.listing_of(symbol), shown, number),
            "number": number,
            "symbol": symbol,
            "side": side,
            "kind": shown,
            "quantity": quantity,
            "state": "open" if trigger_price is None or parent is not None else "untriggered",
            "created": time,
            "updated": time,
            "price": price,
            "trigger_price": trigger_price,
            "parent_id": "" if parent is None else parent.order_id,
            **more,
        }
        order = msgspec.convert(fields, SimOrder, builtin_types=(Decimal,))
        return self._ordered(order, "placed")

    def amend(
        self, order_id: str, time: int, *, price: Decimal | None = None, quantity: Decimal | None = None
    ) -> SimOrder:
        """Another price or quantity; raises Unacceptable."""
        order = self._waiting_order(order_id)
        if quantity is not None and quantity <= order.filled:
            raise Unacceptable(f"Order {order_id} is filled further than {quantity} already.")
        changed = msgspec.structs.replace(
            order,
            price=order.price if price is None else price,
            quantity=order.quantity if quantity is None else quantity,
            amended=True,
            updated=time,
        )
        return self._ordered(changed, "amended")

    def cancel(self, order_id: str, time: int, reason: str = "") -> SimOrder:
        """Take an order out; raises Unacceptable."""
        order = self._waiting_order(order_id)
        changed = msgspec.structs.replace(order, state="cancelled", reason=reason, updated=time)
        return self._ordered(changed, "cancelled")

    def expire(self, order_id: str, time: int, reason: str = "") -> SimOrder:
        """Its time, or its only chance, is over; raises Unacceptable."""
        order = self._waiting_order(order_id)
        changed = msgspec.structs.replace(order, state="expired", reason=reason, updated=time)
        return self._ordered(changed, "expired")

    def trigger(self, order_id: str, time: int) -> SimOrder:
        """A stop's moment came; the order that goes to market comes back. Raises Unacceptable."""
        order = self._waiting_order(order_id)
        if order.state != "untriggered":
            raise Unacceptable(f"Order {order_id} waits for no trigger.")
        if not self.house.spawns:
            return self._ordered(msgspec.structs.replace(order, state="open", updated=time), "triggered")
        self._ordered(msgspec.structs.replace(order, state="triggered", updated=time), "triggered")
        return self.place(
            order.symbol,
            order.side,
            order.quantity,
            time,
            kind=order.kind,
            price=order.price,
            trigger_price=order.trigger_price,
            parent=order,
            reduce_only=order.reduce_only,
            label=order.label,
            client_id=order.client_id,
            position_side=order.position_side,
        )

    def execute(
        self, order_id: str, price: Decimal, quantity: Decimal, time: int, *, number: int, maker: bool
    ) -> SimFill:
        """Fill an order by the public trade ``number``; raises Unacceptable."""
        order = self._waiting_order(order_id)
        if not ZERO < quantity <= order.left:
            raise Unacceptable(f"Order {order_id} has {order.left} left, not {quantity}.")
        listing = self.listing_of(order.symbol)
        fill_id = self.house.fill_id(listing, number)
        outcome = self.house.trade(self, Draft(order, listing, price, quantity, time, fill_id, maker))
        filled = order.filled + quantity
        order = msgspec.structs.replace(
            order,
            filled=filled,
            spent=order.spent + price * quantity,
            fee=order.fee + outcome.fee,
            state="filled" if filled == order.quantity else "open",
            updated=time,
        )
        fill = SimFill(
            fill_id=fill_id,
            number=number,
            order_id=order_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            time=time,
            maker=maker,
            fee=outcome.fee,
            fee_asset=outcome.fee_asset,
            realized=outcome.realized,
            order_kind=order.kind,
            client_id=order.client_id,
            label=order.label,
            position_side=order.position_side,
            liquidation=order.liquidation,
        )
        movements = tuple(self._numbered(outcome.postings, time))
        self._happened(Executed(order, fill, outcome.positions, movements))
        return fill

    def post(
        self, why: str, time: int, postings: Iterable[Posting], positions: Sequence[SimPosition] = ()
    ) -> Moved:
        """Money moves, or positions are counted anew, without a fill."""
        moved = Moved(why, time, tuple(positions), tuple(self._numbered(postings, time)))
        self._happened(moved)
        return moved

    def note(self, what: str, text: str, time: int) -> None:
        """Something about the account itself."""
        self._happened(Noted(what, text, time))

    def apply(self, event: BookEvent) -> None:
        """Fold one event in: the only way in which a book changes."""
        if isinstance(event, Noted):
            self.notes.append(event)
            return
        if isinstance(event, Ordered | Executed):
            self.orders[event.order.order_id] = event.order
            if event.order.waits:
                self.waits[event.order.order_id] = None
            else:
                self.waits.pop(event.order.order_id, None)
        if isinstance(event, Executed):
            self.fills.append(event.fill)
            self._numbers[event.fill.symbol] = event.fill.number
        if isinstance(event, Executed | Moved):
            self.positions |= {(one.symbol, one.position_side): one for one in event.positions}
            self.movements += event.movements
            self.balances |= {one.asset: one.balance for one in event.movements}

    # --- how --------------------------------------------------------------------------------------------

    def _waiting_order(self, order_id: str) -> SimOrder:
        order = self.orders.get(order_id)
        if order is None or not order.waits:
            raise Unacceptable(f"No order {order_id} waits.")
        return order

    def _ordered(self, order: SimOrder, what: Happening) -> SimOrder:
        self._happened(Ordered(order, what))
        return order

    def _happened(self, event: BookEvent) -> None:
        self.apply(event)
        self._events.append(event)
        self.unwritten.append(event)

    def _numbered(self, postings: Iterable[Posting], time: int) -> Iterator[SimMovement]:
        number, balances = len(self.movements), dict(self.balances)
        for posting in postings:
            number += 1
            balances[posting.asset] = balances.get(posting.asset, ZERO) + posting.change
            yield SimMovement(
                number=number, time=time, balance=balances[posting.asset], **msgspec.structs.asdict(posting)
            )


def plain_kind(kind: OrderKind) -> OrderKind:
    """What a triggered order is in the book."""
    return "limit" if kind.endswith("limit") else "market"
