"""USD-M's rules: linear contracts on one wallet in USDT; profit and commission are rows of their own."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from streamers.simulator.accounts.book import Book, Draft, Ending, Outcome
from streamers.simulator.accounts.book_shapes import ZERO, Kind, OrderKind, Posting, Side, SimPosition
from streamers.simulator.accounts.positions import after_fill, coin
from streamers.simulator.listing import Listing

TAKER: Final = Decimal("0.0005")
MAKER: Final = Decimal("0.0002")
REBATES: Final = {"SOLUSDT": Decimal("-0.00005")}
"""Makers of these are paid."""
LEVERAGE: Final = 20
MAINTENANCE: Final = Decimal("0.004")
"""Of a position's worth: below it the exchange closes it."""
FIRST_ORDER: Final = 8_389_765_500_000_000_000
"""Beyond what a double can hold."""
FIRST_ALGO: Final = 2_148_000_000


class LinearHouse:
    """Ids, fees, positions."""

    spawns = True
    leftover: Ending = "expired"

    def trades(self, listing: Listing) -> bool:
        return listing.kind == "perpetual"

    def order_id(self, listing: Listing, kind: OrderKind, number: int) -> str:
        _ = listing
        return str((FIRST_ORDER if kind in ("limit", "market") else FIRST_ALGO) + number)

    def fill_id(self, listing: Listing, number: int) -> str:
        _ = listing
        return str(number)

    def trade(self, book: Book, draft: Draft) -> Outcome:
        """A position moves; what closing it realised is one row, the commission another."""
        order, listing = draft.order, draft.listing
        asset = listing.settlement
        signed = draft.quantity if order.side == "buy" else -draft.quantity
        held = book.held(order.symbol, order.position_side)
        position, parts = after_fill(held, signed, draft.price, draft.time, inverse=False)
        realized = sum((part.realized for part in parts), ZERO)
        rate = REBATES.get(order.symbol, MAKER) if draft.maker else TAKER
        fee = coin(draft.price * draft.quantity * rate)
        postings = [_posting(draft, "realized_pnl", asset, realized)] if realized else []
        postings.append(_posting(draft, "fee", asset, -fee))
        return Outcome(fee, asset, realized, (position,), tuple(postings))

    def affords(self, book: Book, listing: Listing, side: Side, quantity: Decimal, price: Decimal) -> bool:
        """What reduces needs no margin."""
        held = book.held(listing.symbol).quantity
        signed = quantity if side == "buy" else -quantity
        if held * signed < 0 and quantity <= abs(held):
            return True
        asset = listing.settlement
        used = sum((initial_margin(one) for one in book.positions.values() if one.asset == asset), ZERO)
        ordered = sum(
            (order.left * (order.price or order.trigger_price or ZERO) for order in book.waiting()), ZERO
        )
        return book.balances.get(asset, ZERO) >= used + (ordered + quantity * price) / LEVERAGE


def initial_margin(position: SimPosition, mark: Decimal | None = None) -> Decimal:
    """What a position ties up."""
    return coin(abs(position.quantity) * (position.entry if mark is None else mark) / LEVERAGE)


def maintenance_margin(position: SimPosition, mark: Decimal) -> Decimal:
    """What must be left for it."""
    return coin(abs(position.quantity) * mark * MAINTENANCE)


def unrealized(position: SimPosition, mark: Decimal) -> Decimal:
    """What closing it at ``mark`` would bring."""
    return coin(position.quantity * (mark - position.entry)) if position.quantity else ZERO


def liquidation_price(position: SimPosition, wallet: Decimal) -> Decimal:
    """Where ``wallet`` would not cover the maintenance of this position alone; 0 where no price does that."""
    held = position.quantity
    if not held:
        return ZERO
    price = (held * position.entry - wallet) / (held - abs(held) * MAINTENANCE)
    return max(price, ZERO)


def _posting(draft: Draft, kind: Kind, asset: str, change: Decimal) -> Posting:
    return Posting(
        kind=kind,
        asset=asset,
        change=change,
        symbol=draft.listing.symbol,
        fill_id=draft.fill_id,
        order_id=draft.order.order_id,
    )
