"""A market day is over and wholly held: its final candles and control totals, once.

Which days are closed stands in the database: who asks again, or begins anew after a crash, finds the rest.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

import msgspec

from trade_platform.adapters.database.closed_days import days_to_close, mark_closed
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import MICROSECONDS, InstrumentKind
from trade_platform.operations.candles import Built, build_day
from trade_platform.operations.comparing import Comparison
from trade_platform.operations.desk import Desk
from trade_platform.operations.partitions import Listed

LATENESS: Final = 60 * MICROSECONDS
"""After midnight, until the day counts as over."""
LOOK_DAYS: Final = 40
"""A day that becomes whole later than this is closed by hand: a backfill of years is its own affair."""
MOST: Final = 500
"""Instruments' days that one look names; the next look names the rest."""


class DueDay(msgspec.Struct, frozen=True):
    """One instrument's day that can be closed."""

    instrument: Listed
    day: date


class ClosedDay(msgspec.Struct, frozen=True):
    """What closing it made."""

    due: DueDay
    built: Built
    comparison: Comparison


def due_days(
    connection: Connection, now: int, *, first_day: date = date.min, most: int = MOST
) -> list[DueDay]:
    """Days before the running one that are whole and not closed, oldest first. ``now``: market time."""
    last = day_of(now - LATENESS) - timedelta(days=1)
    rows = days_to_close(connection, max(first_day, last - timedelta(days=LOOK_DAYS - 1)), last, most)
    return [
        DueDay(Listed(instrument_id, exchange, symbol, InstrumentKind(kind), base), day)
        for instrument_id, exchange, symbol, kind, base, day in rows
    ]


async def close_day(desk: Desk, due: DueDay) -> ClosedDay:
    """Build its candles, compare them with the exchange's, and mark it.

    Not marked while the exchange gives no answer. Raises psycopg.Error, RedisError and NotStored.
    """
    from trade_platform.operations.control import compare_day  # noqa: PLC0415  an HTTP client: sensors need none

    one = due.instrument
    built = await desk.ask(build_day, one.instrument_id, due.day, now=desk.clock.market())
    comparison = await compare_day(desk, one, due.day)
    if comparison.counts.open:  # an exchange may leave out once what it has: a closed day is not asked again
        comparison = await compare_day(desk, one, due.day)
    if not comparison.unanswered:
        await desk.ask(mark_closed, one.instrument_id, due.day)
    return ClosedDay(due, built, comparison)


def partitions_of(due: Collection[DueDay]) -> set[str]:
    """Keys of the instruments' partitions."""
    return {one.instrument.partition for one in due}
