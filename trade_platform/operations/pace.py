"""How fast trades come and how late, over the last hours: what the plots of rate and lag show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.pace import trade_lags, trade_rates
from trade_platform.domain.hours import HOUR
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.operations.completeness import Completeness

STEPS: Final = tuple(n * MINUTE for n in (1, 2, 5, 10))
MOST: Final = 150
"""Points of a line."""

Points: TypeAlias = Mapping[str, Mapping[int, float]]
"""Exchange → opening of a step → value."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Times: microseconds UTC."""

    start: int
    end: int
    step: int
    rates: Points
    """Trades a second."""
    lags: Points
    """Median milliseconds between the exchange's time and ours."""

    def line(self, points: Mapping[int, float]) -> tuple[list[int], list[float | None]]:
        """Times and values of one exchange; None where nothing came."""
        times = list(range(self.start, self.end, self.step))
        return times, [points.get(at) for at in times]


def pace(connection: Connection, instruments: Sequence[int], now: int, *, since: int | None = None) -> Pace:
    """The last 24 hours, or what lies after ``since`` of them; in steps of whole minutes, those over."""
    low = now - DAY if since is None else max(since, now - DAY)
    step = next((step for step in STEPS if (now - low) / step <= MOST), STEPS[-1])
    end = max(now - now % step, low - low % step + step)
    start = low - low % step
    return Pace(
        start=start,
        end=end,
        step=step,
        rates=trade_rates(connection, instruments, start, end, step),
        lags=trade_lags(connection, instruments, start, end, step),
    )


def pace_of(connection: Connection, report: Completeness) -> Pace:
    """Of what a report is about; it begins where the recording did."""
    known = [
        hour
        for one in report.instruments
        for hour, share in zip(report.hours, one.shares, strict=True)
        if share is not None
    ]
    since = min(known, default=report.now - HOUR)
    ids = [one.instrument.instrument_id for one in report.instruments]
    return pace(connection, ids, report.now, since=since)
