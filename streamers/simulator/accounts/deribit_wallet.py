"""Deribit's money: fees at once, profit of futures at the daily settlement, funding with it.

Between settlements equity is balance + session_rpl + session_upl. Traded are futures and perpetuals, inverse
and linear; options and spot are not yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import msgspec

from streamers.simulator.accounts.book import Book, Draft, Outcome
from streamers.simulator.accounts.book_shapes import ZERO, OrderKind, Posting, Side, SimPosition
from streamers.simulator.accounts.positions import Part, after_fill, coin, gain, worth
from streamers.simulator.listing import Listing

MAKER_FEE: Final = Decimal("-0.0001")
"""A rebate."""
TAKER_FEE: Final = Decimal("0.00035")
INITIAL: Final = Decimal("0.02")
MAINTENANCE: Final = Decimal("0.01")
MOST_LEVERAGE: Final = 5
"""So much of its balance a random trader risks."""
FIRST_ORDER: Final = 10_000_000_000
Mark = Callable[[str], Decimal]


class DeribitHouse:
    """Deribit's rules of trading."""

    spawns = True
    leftover: Literal["cancelled", "expired"] = "cancelled"

    def __init__(self, trade_id: Callable[[str, int], str]) -> None:
        self._trade_id = trade_id

    def trades(self, listing: Listing) -> bool:
        return listing.kind in ("perpetual", "future") and listing.orders_per_second >= 0.3

    def order_id(self, listing: Listing, kind: OrderKind, number: int) -> str:
        """Plain digits of BTC, a prefix of everything else; triggers say what they are."""
        prefix = "" if listing.settlement == "BTC" else f"{listing.settlement}-"
        if kind in ("limit", "market"):
            return f"{prefix}{FIRST_ORDER + number}"
        word = {"stop_market": "SLMB", "stop_limit": "SLIB"}.get(kind, "TPMB")
        return f"{prefix}{word}-{number}"

    def fill_id(self, listing: Listing, number: int) -> str:
        return self._trade_id(listing.symbol, number)

    def affords(self, book: Book, listing: Listing, side: Side, quantity: Decimal, price: Decimal) -> bool:
        if listing.kind not in ("perpetual", "future"):
            return False
        held = book.held(listing.symbol).quantity
        after = held + (quantity if side == "buy" else -quantity)
        size = worth(abs(after), price, inverse=listing.inverse)
        return size <= MOST_LEVERAGE * book.balances.get(listing.settlement, ZERO)

    def trade(self, book: Book, draft: Draft) -> Outcome:
        """A fee now, and a position whose profit is paid later; what crosses zero is two rows."""
        listing, order = draft.listing, draft.order
        signed = draft.quantity if order.side == "buy" else -draft.quantity
        before = book.held(listing.symbol)
        position, parts = after_fill(before, signed, draft.price, draft.time, inverse=listing.inverse)
        realized = sum((part.realized for part in parts), ZERO)
        position = msgspec.structs.replace(position, session_realized=position.session_realized + realized)
        rate = MAKER_FEE if draft.maker else TAKER_FEE
        fee = coin(rate * worth(draft.quantity, draft.price, inverse=listing.inverse))
        return Outcome(
            fee=fee,
            fee_asset=listing.settlement,
            realized=realized,
            positions=(position,),
            postings=tuple(_rows(draft, parts, fee)),
        )


def _rows(draft: Draft, parts: list[Part], fee: Decimal) -> list[Posting]:
    rows, left = [], fee
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        share = left if last else coin(fee * part.quantity / draft.quantity)
        left -= share
        rows.append(
            Posting(
                kind="trade",
                asset=draft.listing.settlement,
                change=-share,
                symbol=draft.listing.symbol,
                fill_id=draft.fill_id,
                order_id=draft.order.order_id,
                fee=share,
                realized=part.realized,
                side=f"{part.effect} {draft.order.side}",
                quantity=part.quantity,
                price=draft.price,
                position=part.position,
                maker=draft.maker,
                info="Source: api",
            )
        )
    return rows


def settle(book: Book, time: int, mark: Mark) -> None:
    """Pay out what was won and lost since the last settlement: a row for each instrument."""
    _pay(book, "settlement", time, mark, list(book.positions.values()))


def deliver(book: Book, symbol: str, time: int, mark: Mark) -> None:
    """An instrument expired: orders are cancelled, its position is paid out and gone."""
    for order in book.waiting(symbol):
        book.cancel(order.order_id, time, "settlement")
    _pay(book, "delivery", time, mark, [book.held(symbol)])


def _pay(
    book: Book,
    kind: Literal["settlement", "delivery"],
    time: int,
    mark: Mark,
    candidates: Sequence[SimPosition],
) -> None:
    postings, positions = [], []
    for position in candidates:
        if not position.quantity and not position.session_realized:
            continue
        price = mark(position.symbol)
        unrealized = unsettled(book, position, price)
        left = position.quantity if kind == "settlement" else ZERO
        postings.append(
            Posting(
                kind=kind,
                asset=position.asset,
                change=position.session_realized + unrealized,
                symbol=position.symbol,
                funding=position.session_funding,
                realized=position.session_realized,
                unrealized=unrealized,
                side="long" if position.quantity > 0 else "short" if position.quantity < 0 else "-",
                quantity=abs(position.quantity),
                price=price,
                position=left,
            )
        )
        positions.append(
            msgspec.structs.replace(
                position,
                quantity=left,
                entry=position.entry if left else ZERO,
                basis=price if left else ZERO,
                session_realized=ZERO,
                session_funding=ZERO,
                settlement_price=price,
                updated=time,
            )
        )
    if postings:
        book.post(kind, time, postings, positions)


def fund(book: Book, time: int, mark: Mark, rate: Callable[[str], Decimal]) -> int:
    """Holders of perpetuals pay (or, where the rate is below 0, earn) interest; how many positions did."""
    positions = []
    for position in book.positions.values():
        listing = book.listing_of(position.symbol)
        if not position.quantity or listing.kind != "perpetual":
            continue
        size = worth(position.quantity, mark(position.symbol), inverse=listing.inverse)
        paid = coin(-size * rate(position.symbol))
        positions.append(
            msgspec.structs.replace(
                position,
                session_realized=position.session_realized + paid,
                session_funding=position.session_funding + paid,
                updated=time,
            )
        )
    if positions:
        book.post("funding", time, [], positions)
    return len(positions)


def unsettled(book: Book, position: SimPosition, price: Decimal) -> Decimal:
    """Its profit since the last settlement that is not realised."""
    inverse = book.listing_of(position.symbol).inverse
    return gain(position.quantity, position.basis, price, inverse=inverse)


class Standing(NamedTuple):
    """How one currency of an account stands now."""

    currency: str
    balance: Decimal
    realized: Decimal
    """Since the last settlement, funding included."""
    unrealized: Decimal
    initial: Decimal
    maintenance: Decimal
    delta: Decimal
    total: Decimal
    """Profit of what is held, since it was bought."""

    @property
    def equity(self) -> Decimal:
        return self.balance + self.realized + self.unrealized


def standing(book: Book, currency: str, mark: Mark) -> Standing:
    """One currency's money, margins and profit."""
    realized = unrealized = size = delta = total = ZERO
    for position in book.positions.values():
        if position.asset != currency:
            continue
        realized += position.session_realized
        if not position.quantity:
            continue
        price, inverse = mark(position.symbol), book.listing_of(position.symbol).inverse
        unrealized += unsettled(book, position, price)
        total += gain(position.quantity, position.entry, price, inverse=inverse)
        size += worth(abs(position.quantity), price, inverse=inverse)
        delta += worth(position.quantity, price, inverse=True) if inverse else position.quantity
    waiting = sum(
        (
            worth(one.left, one.price, inverse=book.listing_of(one.symbol).inverse)
            for one in book.waiting()
            if one.price is not None and book.listing_of(one.symbol).settlement == currency
        ),
        ZERO,
    )
    return Standing(
        currency=currency,
        balance=book.balances.get(currency, ZERO),
        realized=realized,
        unrealized=unrealized,
        initial=coin(INITIAL * (size + waiting)),
        maintenance=coin(MAINTENANCE * size),
        delta=coin(delta),
        total=total,
    )


def currencies(book: Book) -> list[str]:
    """Every currency that the account has, or had."""
    return list(dict.fromkeys([*book.balances, *(one.asset for one in book.positions.values())]))
