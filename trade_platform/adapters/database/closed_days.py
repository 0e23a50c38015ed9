"""Which instruments a day has; days that are over, wholly held, and not closed yet."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import EPOCH

# Held without a hole up to the first number of the next day, nothing noted that waits for its repair, and the
# exchange was heard on a later day: what there was of this one is stored.
_DUE: Final = """
WITH trades AS (
    SELECT c.instrument_id, c.day, bool_and(
        upper(c.held) - lower(c.held) = (SELECT sum(upper(r) - lower(r)) FROM unnest(c.held) AS r)
        AND NOT EXISTS (
            SELECT FROM coverage n WHERE n.instrument_id = c.instrument_id AND n.channel = c.channel
            AND n.day = c.day + 1 AND NOT isempty(n.held) AND lower(n.held) > upper(c.held))) AS whole
    FROM coverage c
    WHERE c.day BETWEEN %(first)s AND %(last)s AND NOT isempty(c.held)
    GROUP BY c.instrument_id, c.day
), candles AS (
    SELECT instrument_id, day FROM time_coverage
    WHERE channel = 'candle' AND day BETWEEN %(first)s AND %(last)s AND NOT isempty(held)
), recorded AS (
    SELECT instrument_id, day, coalesce(whole, true) AS whole
    FROM trades FULL JOIN candles USING (instrument_id, day)
), heard AS (
    SELECT i.exchange, max(h.day) AS day
    FROM instrument i CROSS JOIN LATERAL (
        SELECT max(day) AS day FROM coverage WHERE instrument_id = i.instrument_id AND NOT isempty(held)
        UNION ALL
        SELECT max(day) FROM time_coverage WHERE instrument_id = i.instrument_id AND NOT isempty(held)) h
    GROUP BY i.exchange
)
SELECT i.instrument_id, i.exchange, i.symbol, i.kind, i.base, r.day
FROM recorded r
JOIN instrument i USING (instrument_id)
JOIN heard ON heard.exchange = i.exchange AND heard.day > r.day
WHERE r.whole
  AND NOT EXISTS (SELECT FROM control_day d WHERE d.instrument_id = r.instrument_id AND d.day = r.day
                  AND d.closed_at IS NOT NULL)
  AND NOT EXISTS (
      SELECT FROM gap g WHERE g.state = 'open' AND g.exchange = i.exchange
      AND (g.symbol IS NULL OR g.symbol = i.symbol)
      AND (g.channel IS NULL OR g.channel IN ('trade', 'aggregate_trade', 'candle'))
      AND g.since < (r.day + 1)::timestamp AT TIME ZONE 'UTC'
      AND coalesce(g.until, g.detected_at) >= r.day::timestamp AT TIME ZONE 'UTC')
ORDER BY r.day, i.exchange, i.symbol LIMIT %(most)s
"""
_HELD: Final = """
SELECT i.instrument_id FROM instrument i
WHERE EXISTS (SELECT FROM coverage c WHERE c.instrument_id = i.instrument_id AND c.day = %(day)s
              AND c.channel IN ('trade', 'aggregate_trade') AND NOT isempty(c.held))
   OR EXISTS (SELECT FROM candle k WHERE k.instrument_id = i.instrument_id AND k.interval = '1m'
              AND k.open_time >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
              AND k.open_time < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
"""
_MARK: Final = """
UPDATE control_day SET closed_at = now() WHERE instrument_id = %s AND day = %s AND closed_at IS NULL
"""


def days_to_close(connection: Connection, first: date, last: date, most: int) -> list[tuple[Any, ...]]:
    """(instrument_id, exchange, symbol, kind, base, day), oldest first, of days in [first, last]."""
    parameters = {"first": max(first, EPOCH.date()), "last": last, "most": most}
    return connection.execute(_DUE, parameters).fetchall()


def held_on(connection: Connection, day: date) -> set[int]:
    """Instruments of which a trade or a minute of the day is stored."""
    return {instrument_id for (instrument_id,) in connection.execute(_HELD, {"day": day})}


def mark_closed(connection: Connection, instrument_id: int, day: date) -> bool:
    """The day's candles are final; False where it was marked before, or never compared."""
    return connection.execute(_MARK, (instrument_id, day)).rowcount == 1
