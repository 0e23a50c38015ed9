"""A market's past: days of trades before its start, made when they are asked for, the newest asked kept."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from streamers.simulator.listing import BINANCE_USDM, MILLISECOND, Listing
from streamers.simulator.past import BUSY, PastDay, Run, Scope, days_before, runs_of
from streamers.simulator.past_prints import first_price, prints_of, rows_of
from streamers.simulator.tape import Print, Row

if TYPE_CHECKING:
    from streamers.simulator.floor import Floor

T = TypeVar("T")
DEFAULT_RATE = 2_000
"""Trades in an average day of a busy instrument."""
KEPT_ITEMS = 50_000
"""Trades, prints and minutes of the days that were asked for last."""


class HistoryAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The past of a market, as it is remembered beside the ledger: the same after every restart."""

    days: int
    rate: int
    seed: int


class NoSuchPast(Exception):
    """This market cannot have the past that is asked for."""


class History:
    """Everything that an exchange printed before its live market began. Any thread may ask."""

    def __init__(self, floor: Floor, asked: HistoryAsked) -> None:
        """``floor`` has its listings and first numbers, and has not been opened."""
        self.asked = asked
        self._floor = floor
        self.end = floor.begins_at(floor.listed_at) // MILLISECOND
        """Milliseconds UTC: the first moment of the live market."""
        self._scopes = {
            symbol: self._scope(pit.listing)
            for symbol, pit in floor.pits.items()
            if pit.listing.orders_per_second
        }
        self._days = {symbol: days_before(scope, asked.days) for symbol, scope in self._scopes.items()}
        self._kept = _Kept()
        for symbol, days in self._days.items():
            if days and min(days[0].first_fill, days[0].first_run) < 1:
                raise NoSuchPast(
                    f"The numbers of {symbol} on {floor.exchange} do not reach {asked.days} days back at "
                    f"{asked.rate} trades a day: take fewer days or a lower --history-rate."
                )

    def days(self, symbol: str) -> list[PastDay]:
        """Ascending; empty where an instrument had no trades or was listed later."""
        return self._days.get(symbol, [])

    def shelf(self, symbol: str, channel: str) -> HistoryShelf:
        """The past prints of one instrument and kind."""
        return HistoryShelf(self, symbol, channel)

    def prints(self, symbol: str, channel: str, day: PastDay) -> list[Print]:
        """One day's prints, ascending."""

        def make() -> list[Print]:
            return prints_of(self._floor, self._scopes[symbol], channel, day, self._runs(symbol, day))

        return self._kept.get((symbol, channel, day.begin), make)

    def rows(self, symbol: str, since: int, until: int, most: int, *, newest: bool) -> list[Row]:
        """One-minute candles that open from ``since`` to ``until`` (milliseconds UTC), ascending."""
        days = [day for day in self.days(symbol) if day.begin <= until and since < day.end]
        found: list[Row] = []
        for day in reversed(days) if newest else days:
            inside = [row for row in self._day_rows(symbol, day) if since <= row.open_time <= until]
            found = inside + found if newest else found + inside
            if len(found) >= most:
                return found[-most:] if newest else found[:most]
        return found

    def _day_rows(self, symbol: str, day: PastDay) -> list[Row]:
        def make() -> list[Row]:
            return rows_of(self._floor, self._scopes[symbol], day, self._runs(symbol, day))

        return self._kept.get((symbol, "minutes", day.begin), make)

    def _runs(self, symbol: str, day: PastDay) -> list[Run]:
        return self._kept.get((symbol, "runs", day.begin), lambda: runs_of(self._scopes[symbol], day))

    def _scope(self, listing: Listing) -> Scope:
        floor, symbol = self._floor, listing.symbol
        return Scope(
            listing=listing,
            seed=self.asked.seed,
            exchange=floor.exchange,
            end=self.end,
            price=first_price(floor, listing),
            last_fill=floor.ids[symbol, "trade"],
            last_run=floor.ids.get((symbol, "aggregate_trade"), floor.ids[symbol, "trade"]),
            per_day=self.asked.rate * min(1.0, listing.orders_per_second / BUSY),
            loses_numbers=floor.exchange == BINANCE_USDM,
        )


class HistoryShelf:
    """Looks like prints that left the memory: the days of one instrument and kind, one behind the other."""

    def __init__(self, history: History, symbol: str, channel: str) -> None:
        self._history = history
        self._symbol = symbol
        self._channel = channel
        self._days = history.days(symbol)
        aggregates = channel == "aggregate_trade"
        self._last = [day.last_run if aggregates else day.last_fill for day in self._days]

    def ascending(self, sequence: int, time: int) -> Iterator[Print]:
        """From the first print at or after both, in order."""
        place = max(bisect_left(self._last, sequence), bisect_left(self._days, time, key=_last_moment))
        for day in islice(self._days, place, None):
            prints = self._prints(day)
            first = max(bisect_left(prints, sequence, key=_sequence), bisect_left(prints, time, key=_time))
            yield from islice(prints, first, None)

    def descending(self, sequence: int, time: int) -> Iterator[Print]:
        """From the last print at or before both, backwards."""
        place = min(bisect_left(self._last, sequence), bisect_right(self._days, time, key=_begin) - 1)
        for day in reversed(self._days[: place + 1]):
            prints = self._prints(day)
            last = min(bisect_right(prints, sequence, key=_sequence), bisect_right(prints, time, key=_time))
            yield from reversed(prints[:last])

    def _prints(self, day: PastDay) -> list[Print]:
        return self._history.prints(self._symbol, self._channel, day)


class _Kept:
    """What was asked for last, up to so many items."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, str, int], list[Any]] = {}
        self._items = 0
        self._lock = Lock()

    def get(self, key: tuple[str, str, int], make: Callable[[], list[T]]) -> list[T]:
        """The list of this name, made where it is not kept; never changed by anybody."""
        with self._lock:
            known = self._lists.pop(key, None)
            if known is not None:
                self._lists[key] = known  # the youngest again
                return known
        made = make()  # twice, where two threads ask at once: the same both times
        with self._lock:
            if key not in self._lists:
                self._lists[key] = made
                self._items += len(made)
            while self._items > KEPT_ITEMS and len(self._lists) > 1:
                oldest = next(iter(self._lists))
                self._items -= len(self._lists.pop(oldest))
        return made


def _last_moment(day: PastDay) -> int:
    return day.end - 1


def _begin(day: PastDay) -> int:
    return day.begin


def _sequence(one: Print) -> int:
    return one.sequence


def _time(one: Print) -> int:
    return one.time
