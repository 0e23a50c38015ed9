"""The wider candles of one instrument's day, all of them, whatever has changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import span_of
from trade_platform.adapters.database.rollups import STEPS, roll_day
from trade_platform.adapters.database.snapshot import in_one_snapshot


def roll_up_day(connection: Connection, instrument_id: int, day: date, *, now: int) -> Mapping[str, int]:
    """Candles that were written, by interval; 0 where each is what its minutes make already.

    ``now``: market time; running buckets are left out. The connection is in no transaction.
    """
    asked = span_of(instrument_id, day)
    return in_one_snapshot(
        connection,
        lambda: {step.interval: roll_day(connection, step, asked, now=now).changed for step in STEPS},
    )
