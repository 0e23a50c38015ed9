"""Spot's rules: coins change hands, what is received pays the fee, open orders lock what they need."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from streamers.simulator.accounts.book import Book, Draft, Ending, Outcome
from streamers.simulator.accounts.book_shapes import ZERO, Kind, OrderKind, Posting, Side, SimOrder
from streamers.simulator.accounts.positions import coin
from streamers.simulator.listing import Listing

FEE: Final = Decimal("0.001")
DISCOUNTED: Final = Decimal("0.00075")
DISCOUNT_ASSET: Final = "BNB"
DISCOUNT_SYMBOL: Final = "BNBUSDT"
FIRST_ORDER: Final = 5_300_000_000
BUSY: Final = 2.0
"""Orders a second of instruments that accounts trade which name none."""


class SpotHouse:
    """Ids and fees."""

    spawns = False
    leftover: Ending = "expired"

    def trades(self, listing: Listing) -> bool:
        return listing.quote == "USDT" and listing.orders_per_second >= BUSY

    def order_id(self, listing: Listing, kind: OrderKind, number: int) -> str:
        _ = listing, kind
        return str(FIRST_ORDER + number)

    def fill_id(self, listing: Listing, number: int) -> str:
        _ = listing
        return str(number)

    def trade(self, book: Book, draft: Draft) -> Outcome:
        """Both coins move; the fee is paid in BNB while there is enough, else out of what is received."""
        listing, buys = draft.listing, draft.order.side == "buy"
        cost = coin(draft.price * draft.quantity)
        base, quote = (draft.quantity, -cost) if buys else (-draft.quantity, cost)
        fee, asset = self._fee(book, listing, draft.quantity, cost, buys=buys)
        postings = (
            _posting(draft, "trade", listing.base, base),
            _posting(draft, "trade", listing.quote, quote),
            _posting(draft, "fee", asset, -fee),
        )
        return Outcome(fee, asset, postings=postings)

    def affords(self, book: Book, listing: Listing, side: Side, quantity: Decimal, price: Decimal) -> bool:
        asset, needed = (listing.quote, price * quantity) if side == "buy" else (listing.base, quantity)
        return free_of(book.balances, book.waiting(), book, asset) >= needed

    def _fee(
        self, book: Book, listing: Listing, quantity: Decimal, cost: Decimal, *, buys: bool
    ) -> tuple[Decimal, str]:
        if listing.quote == "USDT" and DISCOUNT_ASSET not in (listing.base, listing.quote):
            price = Decimal(str(book.listing_of(DISCOUNT_SYMBOL).price))
            fee = coin(cost * DISCOUNTED / price)
            if free_of(book.balances, book.waiting(), book, DISCOUNT_ASSET) > fee:
                return fee, DISCOUNT_ASSET
        return (coin(quantity * FEE), listing.base) if buys else (coin(cost * FEE), listing.quote)


def _posting(draft: Draft, kind: Kind, asset: str, change: Decimal) -> Posting:
    return Posting(
        kind=kind,
        asset=asset,
        change=change,
        symbol=draft.listing.symbol,
        fill_id=draft.fill_id,
        order_id=draft.order.order_id,
    )


def lock_of(order: SimOrder, listing: Listing) -> tuple[str, Decimal]:
    """(asset, amount) that an order which waits keeps from being spent."""
    if order.side == "sell":
        return listing.base, order.left
    price = order.price or order.trigger_price or ZERO
    return listing.quote, coin(price * order.left)


def locked(orders: Iterable[SimOrder], book: Book) -> dict[str, Decimal]:
    """Asset → what orders lock of it."""
    amounts: dict[str, Decimal] = {}
    for order in orders:
        asset, amount = lock_of(order, book.listing_of(order.symbol))
        amounts[asset] = amounts.get(asset, ZERO) + amount
    return amounts


def free_of(balances: dict[str, Decimal], orders: Iterable[SimOrder], book: Book, asset: str) -> Decimal:
    """What of an asset can be spent."""
    return balances.get(asset, ZERO) - locked(orders, book).get(asset, ZERO)
