"""What our own data tell of a minute that differs from the exchange's: what may explain it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import span_of
from trade_platform.adapters.database.times import microseconds_of, moment
from trade_platform.domain.control import NO_EVIDENCE, Evidence

_BLOCKS: Final = """
SELECT n.minute, sum(t.base), sum(t.quote), array_agg(DISTINCT t.price)
FROM unnest(%(minutes)s::timestamptz[]) AS n(minute)
JOIN instrument i ON i.instrument_id = %(instrument)s
CROSS JOIN LATERAL (
    SELECT price,
           CASE WHEN i.quantity_unit <> 'quote' THEN quantity
                WHEN price > 0 THEN round(div(quantity * 1e13, price) * 1e-13, 12) ELSE 0 END AS base,
           CASE WHEN i.quantity_unit = 'quote' THEN quantity ELSE price * quantity END AS quote
    FROM trade WHERE instrument_id = i.instrument_id AND flags & 2 <> 0
    AND event_time >= %(start)s AND event_time < %(end)s
    AND event_time >= n.minute AND event_time < n.minute + interval '1 minute') t
GROUP BY n.minute
"""
# Raw ids in the minute and up to its neighbours' that no fill of ours has. Aggregates are contiguous by
# their own numbers where the minute is complete, so that these were never aggregated.
_SPARE: Final = """
SELECT c.open_time, coalesce(n.first_id, c.last_id + 1) - coalesce(p.last_id, c.first_id - 1) - 1 - c.trades
FROM candle c
LEFT JOIN LATERAL (
    SELECT last_id FROM candle WHERE instrument_id = c.instrument_id AND interval = '1m' AND source = 'trade'
    AND trades > 0 AND open_time < c.open_time AND open_time >= c.open_time - interval '1 day'
    ORDER BY open_time DESC LIMIT 1) p ON true
LEFT JOIN LATERAL (
    SELECT first_id FROM candle WHERE instrument_id = c.instrument_id AND interval = '1m' AND source = 'trade'
    AND trades > 0 AND open_time > c.open_time AND open_time <= c.open_time + interval '1 day'
    ORDER BY open_time LIMIT 1) n ON true
WHERE c.instrument_id = %(instrument)s AND c.interval = '1m' AND c.source = 'trade'
  AND c.open_time = ANY(%(minutes)s)
"""


def load_evidence(
    connection: Connection, instrument_id: int, day: date, minutes: Iterable[int]
) -> dict[int, Evidence]:
    """What may explain these minutes: block trades, and raw ids that belong to no trade of ours."""
    parameters = {**span_of(instrument_id, day), "minutes": [moment(minute) for minute in sorted(minutes)]}
    spare = {
        microseconds_of(minute): max(count, 0)
        for minute, count in connection.execute(_SPARE, parameters)
        if count is not None
    }
    blocks = {
        microseconds_of(minute): (volume, quote_volume, prices)
        for minute, volume, quote_volume, prices in connection.execute(_BLOCKS, parameters)
    }
    nothing = (NO_EVIDENCE.block_volume, NO_EVIDENCE.block_quote_volume, NO_EVIDENCE.block_prices)
    found = {}
    for minute in spare.keys() | blocks.keys():
        volume, quote_volume, prices = blocks.get(minute, nothing)
        found[minute] = Evidence(
            block_volume=volume,
            block_quote_volume=quote_volume,
            block_prices=prices,
            spare_ids=spare.get(minute, 0),
        )
    return found
