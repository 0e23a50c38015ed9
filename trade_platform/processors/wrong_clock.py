"""Records of a day far ahead: odd ones, or is it our own clock that stands days behind?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from trade_platform.adapters.database.connection import ClockBehind
from trade_platform.adapters.database.partitions import AHEAD_DAYS, EARLIEST
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import Candle, Number, Trade
from trade_platform.processors.reading import Reading


def check_clock(last: date, readings: Sequence[Reading]) -> None:
    """Raises ClockBehind where every day that the exchange names lies beyond ``last``.

    Among others an odd one stands alone, and is refused alone. When nothing else has come yet, it waits
    until something does.
    """
    days = [day for day in _days(readings) if day >= EARLIEST]
    if days and min(days) > last:
        raise ClockBehind(
            f"it seems wrong: the exchange's day {min(days)} lies more than {AHEAD_DAYS} days ahead of ours"
        )


def _days(readings: Sequence[Reading]) -> Iterable[date]:
    """By the exchange's clock; what has only the time of its arrival says nothing of ours."""
    for reading in readings:
        for record in reading.records:
            if isinstance(record, Candle):
                at = record.open_time
            elif isinstance(record, Trade) or (
                isinstance(record, Number) and record.event_time != record.receive_time
            ):
                at = record.event_time
            else:
                continue
            try:
                yield day_of(at)
            except OverflowError:
                continue
