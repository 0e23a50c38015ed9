"""Windows and pages of Binance's private histories. Times are milliseconds UTC.

A start without an end (or the other way round) reaches as far as the longest window, never further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from streamers.simulator.binance_parameters import Query, Refused, integer, limit_of

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
Row = TypeVar("Row")


class Span(NamedTuple):
    """[since, until], both inside; ``newest``: of too many rows the last ones are shown."""

    since: int
    until: int
    newest: bool

    def holds(self, time: int) -> bool:
        return self.since <= time <= self.until


def span_of(query: Query, longest: int, usual: Span) -> Span:
    """What a request asks for; ``usual`` where it does not say. Raises Refused."""
    start, end = integer(query, "startTime"), integer(query, "endTime")
    if start is None and end is None:
        return usual
    if start is None:
        return Span((end or 0) - longest, end or 0, newest=True)
    if end is None:
        return Span(start, start + longest, newest=False)
    if start > end:
        raise Refused(-1128, "Start time is greater than end time.")
    if end - start > longest:
        raise Refused(-1127, f"More than {longest // HOUR} hours between startTime and endTime.")
    return Span(start, end, newest=False)


def page(
    rows: Sequence[Row], query: Query, span: Span, time_of: Callable[[Row], int], default: int = 500
) -> list[Row]:
    """The rows of a span, oldest first, no more than asked for."""
    inside = [row for row in rows if span.holds(time_of(row))]
    limit = limit_of(query, default, 1000)
    return inside[-limit:] if span.newest else inside[:limit]


def all_time(now: int) -> Span:
    """The newest, however old they are."""
    return Span(0, now, newest=True)


def last(longest: int, now: int) -> Span:
    """The newest of the last so many milliseconds."""
    return Span(now - longest, now, newest=True)
