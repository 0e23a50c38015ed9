"""The last 24 hours of an instrument, from its minutes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from streamers.simulator.figures import WIDE, rounded
from streamers.simulator.tape import Row

DAY = 24 * 60 * 60 * 1000


class Day(msgspec.Struct, frozen=True):
    """What a 24 h ticker says; text as it goes on the wire."""

    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    change: str
    percent: str
    average: str
    trades: int
    first_id: int
    last_id: int


def day_of(rows: Iterable[Row], now: int) -> Day:
    """From one-minute rows, the running one included; ``now`` in milliseconds."""
    inside = [row for row in rows if row.open_time > now - DAY]
    volume = sum((Decimal(row.volume) for row in inside), Decimal(0))
    quote_volume = sum((Decimal(row.quote_volume) for row in inside), Decimal(0))
    first, last = inside[0], inside[-1]
    change = Decimal(last.close) - Decimal(first.open)
    average = rounded(WIDE.divide(quote_volume, volume)) if volume else Decimal(last.close)
    ids = [row for row in inside if row.first_id is not None and row.first_id >= 0]
    return Day(
        open_time=first.open_time,
        open=first.open,
        high=max((row.high for row in inside), key=Decimal),
        low=min((row.low for row in inside), key=Decimal),
        close=last.close,
        volume=f"{volume:f}",
        quote_volume=f"{quote_volume:f}",
        change=f"{change:f}",
        percent=f"{WIDE.divide(change * 100, Decimal(first.open)):.3f}",
        average=f"{average:f}",
        trades=sum(row.trades or 0 for row in inside),
        first_id=ids[0].first_id or 0 if ids else -1,
        last_id=ids[-1].last_id or 0 if ids else -1,
    )
