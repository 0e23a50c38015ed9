"""Microseconds UTC, as the records have them, and the aware moments that PostgreSQL takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = EPOCH.date()
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = 86_400_000_000


def moment(microseconds: int) -> datetime:
    """Exact; raises OverflowError beyond the year 9999."""
    return EPOCH + timedelta(microseconds=microseconds)


def optional_moment(microseconds: int | None) -> datetime | None:
    """``moment``, where there is one."""
    return None if microseconds is None else moment(microseconds)


def microseconds_of(value: datetime) -> int:
    """Inverse of ``moment``."""
    return (value - EPOCH) // _MICROSECOND


def day_of(microseconds: int) -> date:
    """The UTC day."""
    return _FIRST_DAY + timedelta(days=microseconds // _DAY)


def days_of(low: int, high: int) -> Iterator[tuple[date, int, int]]:
    """Cut [low, high) at midnights: (day, low, high)."""
    while low < high:
        end = min(high, (low // _DAY + 1) * _DAY)
        yield day_of(low), low, end
        low = end
