"""How many candles a day has, of many instruments at once: what can be said of it without making any."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import EPOCH

# Of an instrument whose trades are not recorded, the exchange's own are counted.
_COUNTS: Final = """
SELECT DISTINCT ON (instrument_id, interval)
       instrument_id, interval, count(*), count(*) FILTER (WHERE complete), coalesce(sum(trades), 0)::bigint
FROM candle
WHERE instrument_id = ANY(%(instruments)s) AND open_time >= %(start)s AND open_time < %(end)s
GROUP BY instrument_id, interval, source
ORDER BY instrument_id, interval, source = 'trade' DESC
"""


class Candles(msgspec.Struct, frozen=True):
    """Stored candles of one instrument, day and interval."""

    candles: int = 0
    complete: int = 0
    trades: int = 0
    """What they count together."""


def count_candles(
    connection: Connection, instruments: Collection[int], day: date
) -> Mapping[tuple[int, str], Candles]:
    """By instrument and interval; what has none is left out."""
    start = EPOCH + (day - EPOCH.date())
    parameters = {"instruments": list(instruments), "start": start, "end": start + timedelta(days=1)}
    return {
        (instrument, interval): Candles(*counts)
        for instrument, interval, *counts in connection.execute(_COUNTS, parameters)
    }
