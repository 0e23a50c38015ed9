"""How much of an hour is proven, and on which day a hole lies. Pure rules over what is held.

**Of trades** an hour is proven as a minute is: its numbers [first, last] are held without a hole, and so are
the number before and the number after, so that nothing can lie between them and the next trade on either
side; an hour without trades is proven where the trade before it and the one after it have neighbouring
numbers. Where a hole touches the hour, its share is that of its minutes whose candle is proven complete:
what a hole of many numbers costs is told by the time that it took, not by guesses about its numbers.
**Where candles alone are recorded** the share is that of the minutes of which the exchange's closed candle
is held. Minutes before the recording began are not counted, nor those that are not over; hours after the
newest trade are unknown (None) as long as it may just be quiet, and nothing (0) once many trades were due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.coverage import Ranges, Span
from trade_platform.domain.model import MINUTE
from trade_platform.domain.ohlc import minute_of

Share: TypeAlias = float | None
"""0 … 1; None where there is nothing to tell."""

HOUR: Final = 60 * MINUTE
SETTLING: Final = 2 * MINUTE
"""A minute is proven by the next trade, and written some seconds later: so long it is not missed."""
DUE: Final = 30.0
"""So many trades must have been due since the newest before silence counts as loss."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one instrument's trades around a window."""

    held: Ranges
    """Numbers, of the window's days and of the last day before them."""
    begun_before: bool
    """Something is held of a day before the window."""
    count: int
    """Numbers of the window's days alone."""
    first: int
    """Event times of the first and the last trade that are held in the window's days."""
    last: int
    ends: Mapping[int, tuple[int, int]] = {}
    """Hour → numbers of its first and last trade; asked for only where the numbers have a hole."""

    @property
    def broken(self) -> bool:
        return len(self.held.spans) > 1


def hour_of(time: int) -> int:
    """Opening of the hour that holds this time."""
    return time - time % HOUR


def shares_of_trades(
    one: Recorded, minutes: Mapping[int, int], hours: Sequence[int], now: int
) -> list[Share]:
    """The share of each hour; ``minutes``: hour → minutes whose candle is proven complete."""
    begin = None if one.begun_before else minute_of(one.first) + MINUTE
    end = now - SETTLING
    if not is_silent(one, now):  # what lies behind the newest trade cannot be proven yet
        end = min(end, minute_of(one.last))
    proven = proven_hours(one, hours)
    return [1.0 if hour in proven else _share(minutes.get(hour, 0), hour, begin, end) for hour in hours]


def shares_of_minutes(minutes: Mapping[int, int], hours: Sequence[int], first: int, now: int) -> list[Share]:
    """The same where candles alone are recorded; ``first``: opening of the first that is held."""
    return [_share(minutes.get(hour, 0), hour, first, now - SETTLING) for hour in hours]


def missing_minutes(
    told: Mapping[int, int], hours: Sequence[int], first: int, now: int, given_up: Iterable[Span] = ()
) -> dict[int, int]:
    """Hour → minutes without a candle, where candles alone are recorded.

    ``given_up``: breaks [since, until) that nobody serves again; what they touch is not counted.
    """
    lost = Ranges.from_spans((minute_of(since - MINUTE), until) for since, until in given_up)
    found = {}
    for hour in hours:
        counted = Ranges.between(max(hour, first), min(hour + HOUR, now - SETTLING)) - lost
        missing = counted.count // MINUTE - told.get(hour, 0)
        if missing > 0:
            found[hour] = missing
    return found


def mean_share(shares: Iterable[Share]) -> Share:
    """Of those that are known."""
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def proven_hours(one: Recorded, hours: Iterable[int]) -> set[int]:
    """Those in which the numbers leave no room for a trade that is not held."""
    first, last = hour_of(one.first), hour_of(one.last)
    if not one.broken:
        return {hour for hour in hours if hour < last and (hour > first or one.begun_before)}
    proven: set[int] = set()
    before: int | None = None
    ends = sorted(one.ends)
    after = next((one.ends[hour][0] for hour in ends), None)
    for hour in sorted(hours):
        if hour in one.ends:
            low, high = one.ends[hour]
            if not one.held.missing(low - 1, high + 2):
                proven.add(hour)
            before = high
        elif before is not None:
            if hour < last and before + 1 in one.held:
                proven.add(hour)
        elif after is not None and after - 1 in one.held:
            proven.add(hour)
    return proven


def is_silent(one: Recorded, now: int) -> bool:
    """By the rate at which it traded, many trades were due since the last."""
    span = max(one.last - one.first, MINUTE)
    return (now - one.last) * one.count / span > DUE


def holes_by_day(days: Mapping[date, Ranges], given_up: Ranges) -> dict[date, Ranges]:
    """Day → numbers that are missing and not given up; a hole lies on each day between its two neighbours."""
    held = Ranges.from_spans(span for ranges in days.values() for span in ranges)
    if held.lowest is None or held.highest is None:
        return {}
    found: dict[date, Ranges] = {}
    for low, high in held.missing(held.lowest, held.highest + 1) - given_up:
        for day in _days_around(days, low, high):
            found[day] = found.get(day, Ranges()) | Ranges.between(low, high)
    return found


def _days_around(days: Mapping[date, Ranges], low: int, high: int) -> list[date]:
    """From the last day with a lower number to the first with a higher one."""
    ordered = sorted(day for day, ranges in days.items() if ranges)
    before = [day for day in ordered if _lowest(days[day]) < low]
    after = [day for day in ordered if _highest(days[day]) >= high]
    first, last = before[-1] if before else ordered[0], after[0] if after else ordered[-1]
    return [day for day in ordered if first <= day <= last]


def _lowest(ranges: Ranges) -> int:
    return ranges.spans[0][0]


def _highest(ranges: Ranges) -> int:
    return ranges.spans[-1][1] - 1


def _share(proven: int, hour: int, begin: int | None, end: int) -> Share:
    """Of the minutes of the hour that lie in [begin, end); None where none of them does."""
    low = hour if begin is None else max(hour, begin)
    counted = max(min(hour + HOUR, end) - low, 0) // MINUTE
    if not counted:
        return 1.0 if proven else None
    return min(proven / counted, 1.0)
