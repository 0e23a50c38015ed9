"""The market itself: when orders come, what they fill and where the quotes stand. Deterministic by seed.

Everything depends on market time and the seed alone, never on how often ``run`` is asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from streamers.simulator.listing import MILLISECOND, SECOND, Listing


class Fill(NamedTuple):
    price: int
    quantity: int


class Order(NamedTuple):
    """One taker's order and what it filled, all in one millisecond."""

    time: int
    """Microseconds UTC, on a whole millisecond."""
    buy: bool
    fills: list[Fill]


class Agenda:
    """What happens when, in market time; what shares a moment happens in the order it was planned."""

    def __init__(self, now: int = 0) -> None:
        self.now = now
        """The moment that is being lived: an action sees its own, afterwards it is where ``run`` ended."""
        self._plans: list[tuple[int, int, Callable[[int], None]]] = []
        self._serial = 0

    def at(self, time: int, action: Callable[[int], None]) -> None:
        self._serial += 1
        heapq.heappush(self._plans, (time, self._serial, action))

    def run(self, until: int) -> None:
        """Do everything that is due at or before ``until``."""
        plans = self._plans
        while plans and plans[0][0] <= until:
            time, _, action = heapq.heappop(plans)
            self.now = time
            action(time)
        self.now = until


class Pit:
    """Where one instrument trades: its quotes, its last price and the temper of its takers."""

    def __init__(self, listing: Listing, seed: int, rate: float = 1.0) -> None:
        self.listing = listing
        self.rate = listing.orders_per_second * rate
        self._random = Random(f"{seed}/{listing.symbol}/{listing.kind}/{listing.tick}")  # noqa: S311 (a market, not a secret)
        self.anchor = (
            max(round(listing.price * 10**listing.price_decimals) // listing.tick, 20) * listing.tick
        )
        self.last = self.anchor
        self.buy = True
        self.update = self._random.randrange(10**9, 9 * 10**9)
        self._hurry = 0
        self.halted = False
        """Locked for now: nobody trades, quotes stand."""
        self.over = False
        """Expired or taken off the list."""
        self.bid = self.ask = self.bid_size = self.ask_size = 0
        self.requote()

    def next_arrival(self, now: int) -> int | None:
        """When the next order comes: mostly at random, now and then in a hurry; None where nobody trades."""
        if not self.rate:
            return None
        if self._hurry:
            self._hurry -= 1
            wait = self._random.randrange(0, 25) * MILLISECOND
        else:
            wait = int(self._random.expovariate(self.rate) * SECOND)
            if self._random.random() < 0.03:
                self._hurry = self._random.randrange(4, 20)
        return (now + wait) // MILLISECOND * MILLISECOND

    def order(self, time: int) -> Order:
        """A taker comes: fill it from the quote on, level by level, and leave the quote where it ended."""
        random, tick = self._random, self.listing.tick
        self.drift()
        buy = random.random() < (0.8 if self.buy else 0.2) if random.random() < 0.5 else random.random() < 0.5
        count = random.randrange(30, 160) if random.random() < 0.006 else 1 + int(random.expovariate(1.4))
        price = self.ask if buy else self.bid
        fills = []
        for place in range(count):
            if place and random.random() < 0.3:
                price = price + tick if buy else max(price - tick, tick)
            fills.append(Fill(price, self.some_quantity()))
        self.last, self.buy = price, buy
        spread = self.listing.spread * tick
        self.bid, self.ask = (price - spread, price) if buy else (price, price + spread)
        if self.bid < tick:
            self.bid, self.ask = tick, tick + spread
        self.resize()
        return Order(time, buy, fills)

    def drift(self) -> None:
        """Move the quotes a little: at random, leaning back to the anchor."""
        tick = self.listing.tick
        pull = (self.anchor - self.last) / tick * 0.0005
        move = round(self._random.gauss(pull, self.listing.swing)) * tick
        self.bid = max(self.bid + move, tick)
        self.ask = self.bid + self.listing.spread * tick

    def requote(self) -> None:
        """New quotes near the last price, as makers come and go between trades."""
        tick = self.listing.tick
        self.bid = max(self.last - self.listing.spread * tick * self._random.randrange(2), tick)
        self.ask = self.bid + self.listing.spread * tick
        self.resize()

    def resize(self) -> None:
        self.bid_size = 20 * self.some_quantity()
        self.ask_size = 20 * self.some_quantity()
        self.update += self._random.randrange(1, 9)

    def some_quantity(self) -> int:
        """A size in units: mostly small, sometimes much larger."""
        return max(1, int(self._random.lognormvariate(0.0, 1.2) * self.listing.size)) * self.listing.step

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def some(self, low: int, high: int) -> int:
        return self._random.randrange(low, high)
