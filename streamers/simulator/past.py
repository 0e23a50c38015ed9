"""The days before a market's start: how many trades each holds, where its prices go, and the trades.

Everything follows from the seed, the instrument and the day; no day needs another one to be made.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from random import Random
from typing import NamedTuple

from streamers.simulator.listing import Listing

DAY_MS = 24 * 60 * 60_000
WINDOW_MS = 100
"""Orders of USD-M are in windows of their own, so that no two aggregates should have been one."""
BUSY = 2.0
"""Orders a second from which on an instrument has the whole rate of the past; thinner ones have a share."""
DAILY_MOVE = 0.02
"""Typical move of a price in a day, and from its beginning to its end."""
CALM = 0.97
"""How much of its distance from where it will begin the price keeps, going a day back."""


class Scope(NamedTuple):
    """What one instrument's past joins, and how thick it is."""

    listing: Listing
    seed: int
    exchange: str
    end: int
    """Milliseconds UTC: here the live market begins."""
    price: int
    """Its first price, in units."""
    last_fill: int
    """The last number before its first one."""
    last_run: int
    """Likewise of its aggregates."""
    per_day: float
    """Trades in an average day."""
    loses_numbers: bool
    """Some raw numbers are used up and never printed; orders keep apart (USD-M)."""


class PastDay(NamedTuple):
    """What a day will hold, known without making it. Times in milliseconds UTC, prices in units."""

    begin: int
    end: int
    fills: int
    runs: int
    """Fills in a row of one order and price."""
    lost: int
    """Raw numbers that were used up and never printed."""
    opening: int
    closing: int
    last_fill: int
    last_run: int

    @property
    def first_fill(self) -> int:
        """The lowest number that may be printed."""
        return self.last_fill - self.fills - self.lost + 1

    @property
    def first_run(self) -> int:
        return self.last_run - self.runs + 1


class Run(NamedTuple):
    """Fills of one order at one price."""

    time: int
    """Milliseconds UTC."""
    price: int
    buy: bool
    quantities: tuple[int, ...]
    first_id: int


def days_before(scope: Scope, days: int) -> list[PastDay]:
    """So many whole days and what was of the day in which the market begins, ascending."""
    found: list[PastDay] = []
    end, fill, run, price, lean = scope.end, scope.last_fill, scope.last_run, scope.price, 0.0
    first = scope.end // DAY_MS * DAY_MS - days * DAY_MS
    while end > first and scope.per_day:
        begin = (end - 1) // DAY_MS * DAY_MS
        random = _random(scope, begin, "plan")
        lean = CALM * lean + random.gauss(0, DAILY_MOVE)
        opening = _on_grid(scope.price * (1 + max(min(lean, 0.5), -0.5)), scope.listing.tick)
        fills = max(round(scope.per_day * random.uniform(0.75, 1.5) * (end - begin) / DAY_MS), 1)
        runs = max(round(fills * random.uniform(0.55, 0.75)), 1)
        lost = sum(random.random() < 0.004 for _ in range(runs)) if scope.loses_numbers else 0
        found.append(PastDay(begin, end, fills, runs, lost, opening, price, fill, run))
        end, fill, run, price = begin, fill - fills - lost, run - runs, opening
    return found[::-1]


def runs_of(scope: Scope, day: PastDay) -> list[Run]:
    """Every trade of a day, in order."""
    random = _random(scope, day.begin, "trades")
    sizes = _scattered(random, day.runs, day.fills - day.runs)
    lost = _scattered(random, day.runs, day.lost)
    leads = [place in (0, day.runs - 1) or random.random() < 0.8 for place in range(day.runs)]
    orders = _orders(scope, day, random, sum(leads))
    tick, runs, number = scope.listing.tick, [], day.first_fill
    time, price, buy = next(orders)
    for place in range(day.runs):
        if leads[place] and place:
            time, price, buy = next(orders)
        elif place:
            price += tick if buy or price <= tick else -tick  # an order that eats through a level
        number += lost[place]
        quantities = tuple(_quantity(scope.listing, random) for _ in range(sizes[place] + 1))
        runs.append(Run(time, price, buy, quantities, number))
        number += len(quantities)
    return runs


def _orders(scope: Scope, day: PastDay, random: Random, count: int) -> Iterator[tuple[int, int, bool]]:
    """(time, first price, does the taker buy) of each order; the last one trades at the closing price."""
    steps = [random.gauss(0, 1) for _ in range(count)]
    drift = sum(steps) / count
    size = max(DAILY_MOVE * day.opening / sqrt(count), scope.listing.tick / 2)
    trend = (day.closing - day.opening) / count
    walked, buy = 0.0, random.random() < 0.5
    for place, time in enumerate(_times(scope, day, random, count), 1):
        walked += steps[place - 1] - drift
        buy = buy if random.random() < 0.4 else random.random() < 0.5
        at = day.opening + trend * place + size * walked if place < count else day.closing
        yield time, _on_grid(at, scope.listing.tick), buy


def _times(scope: Scope, day: PastDay, random: Random, count: int) -> list[int]:
    """Ascending; some orders share a millisecond, but for USD-M, where each has a window of its own."""
    if scope.loses_numbers:
        slots = sorted(random.sample(range((day.end - day.begin) // WINDOW_MS), count))
        return [day.begin + slot * WINDOW_MS + random.randrange(WINDOW_MS) for slot in slots]
    times = sorted(random.randrange(day.begin, day.end) for _ in range(count))
    for place in range(1, count):
        if random.random() < 0.04:
            times[place] = times[place - 1]
    return times


def _scattered(random: Random, places: int, count: int) -> list[int]:
    """So many things thrown at random into so many places."""
    found = [0] * places
    for _ in range(count):
        found[random.randrange(places)] += 1
    return found


def _quantity(listing: Listing, random: Random) -> int:
    return max(1, int(random.lognormvariate(0.0, 1.2) * listing.size)) * listing.step


def _on_grid(price: float, tick: int) -> int:
    return max(round(price / tick), 1) * tick


def _random(scope: Scope, begin: int, what: str) -> Random:
    return Random(f"{scope.seed}/{scope.exchange}/{scope.listing.symbol}/{begin}/{what}")  # noqa: S311 (a market, not a secret)
