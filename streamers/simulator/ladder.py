"""A book that follows from the quote: deeper levels nobody placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from streamers.simulator.floor import Floor
    from streamers.simulator.market import Pit

Levels: TypeAlias = list[tuple[str, str]]


def ladder(floor: Floor, pit: Pit, depth: int = 100) -> tuple[Levels, Levels]:
    """Bids and asks: the quote, and behind it levels that follow from it."""
    bids, asks = (pit.bid, pit.bid_size), (pit.ask, pit.ask_size)
    return _levels(floor, pit, depth, *bids, -1), _levels(floor, pit, depth, *asks, 1)


def _levels(floor: Floor, pit: Pit, depth: int, price: int, size: int, way: int) -> Levels:
    listing = pit.listing
    levels = []
    for place in range(depth):
        if price <= 0:
            break
        shown = floor.figure(price, listing.price_decimals), floor.figure(size, listing.quantity_decimals)
        levels.append(shown)
        price += way * listing.tick * (1 + place % 3)
        size = max(size * 7 // 8 // listing.step, 1) * listing.step
    return levels
