"""What the web page shows of a report: two maps, two plots, a table and a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from trade_platform.defs.pictures import picture, table
from trade_platform.domain.hours import mean_share
from trade_platform.operations.completeness import WEEK, Completeness, PartitionShares, by_partition
from trade_platform.operations.pace import Pace, Points

DAY_HOURS: Final = 24
ROWS: Final = 200
"""Of the table, the least complete first."""


def shown(report: Completeness, pace: Pace) -> dict[str, Any]:
    """The metadata of one look."""
    parts = by_partition(report, DAY_HOURS)
    share = mean_share([one.total for one in parts])
    week = mean_share([one.week for one in parts])
    numbers = {
        "instruments": len(report.instruments),
        "open gaps": report.open_gaps,
        "missing": sum(one.missing for one in parts),
        "given up": sum(one.given_up for one in parts),
        **({} if share is None else {"percent of 24 hours": _cut(share)}),
        **({} if week is None else {"percent of 7 days": _cut(week)}),
    }
    return {**_pictures(report, parts, pace), **numbers, **_table(parts)}


def _pictures(report: Completeness, parts: Sequence[PartitionShares], pace: Pace) -> dict[str, Any]:
    found = {}
    if parts:
        found["coverage of 24 hours"] = _map(report, parts, DAY_HOURS, "Coverage by hour, 24 hours")
        week = by_partition(report, WEEK)
        found["coverage of 7 days"] = _map(report, week, len(report.hours), "Coverage by hour, 7 days")
    found["rate"] = _lines(pace, pace.rates, "Trades", "stored, by exchange", "a second")
    found["lag"] = _lines(
        pace, pace.lags, "Lag", "from the exchange's time to our receipt, median of trades", "milliseconds"
    )
    return found


def _map(
    report: Completeness, parts: Sequence[PartitionShares], hours: int, title: str
) -> dg.MarkdownMetadataValue:
    from trade_platform.pictures.heat_map import MOST, Row, heat_map  # noqa: PLC0415 - only a run draws

    chosen = sorted(sorted(parts, key=_least)[:MOST], key=lambda one: one.partition)
    source = "minutes proven by trade numbers, or told by the exchange"
    if len(parts) > len(chosen):
        source = f"the {len(chosen)} least complete of {len(parts)}"
    rows = [Row(name=one.partition, shares=one.shares, total=one.total) for one in chosen]
    png = heat_map(rows, report.hours[-hours], title=title, source=source, now=report.now)
    return picture(png, title)


def _lines(pace: Pace, points: Points, title: str, source: str, unit: str) -> dg.MarkdownMetadataValue:
    from trade_platform.pictures.lines import Line, lines  # noqa: PLC0415

    drawn = []
    for name in sorted(points):
        times, values = pace.line(points[name])
        drawn.append(Line(name=name, times=times, values=values))
    png = lines(drawn, pace.start, pace.end, title=title, source=source, unit=unit)
    return picture(png, title)


def _table(parts: Sequence[PartitionShares]) -> Mapping[str, Any]:
    if not parts:
        return {}
    rows: list[dict[str, str | float | int | bool | None]] = [
        {
            "instrument or family": one.partition,
            "instruments": one.instruments,
            "24 hours": _percent(one.total),
            "7 days": _percent(one.week),
            "missing": one.missing,
            "given up": one.given_up,
            "open gaps": one.open_gaps,
        }
        for one in sorted(parts, key=_least)[:ROWS]
    ]
    return {"by instrument": table(rows)}


def _least(one: PartitionShares) -> tuple[float, float, str]:
    """The least complete first; what nothing is known of, last."""
    return (2.0 if one.total is None else one.total, 2.0 if one.week is None else one.week, one.partition)


def _cut(share: float) -> float:
    """Percent with two decimals, rounded down: 100 means all."""
    return int(share * 10_000) / 100


def _percent(share: float | None) -> str:
    from trade_platform.pictures.heat_map import percent  # noqa: PLC0415

    return percent(share)
