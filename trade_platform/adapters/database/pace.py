"""How fast trades come and how late: sampled by steps in an index, never by reading all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.domain.model import MICROSECONDS

SAMPLED: Final = 5
"""Instruments of an exchange whose lag is looked at: those that trade most."""
TRADES: Final = 20
"""Trades of each instrument and step."""
READ_AGAIN: Final = timedelta(minutes=10)
"""What was received so long after it was made was read again, and tells nothing of the lag."""

_RATE: Final = """
SELECT i.exchange, (extract(epoch FROM date_bin(%(step)s, c.open_time, %(start)s)) * 1000000)::bigint,
       sum(c.trades)::bigint
FROM candle c JOIN instrument i USING (instrument_id)
WHERE c.instrument_id = ANY(%(instruments)s) AND c.interval = '1m' AND c.source = 'trade'
  AND c.open_time >= %(start)s AND c.open_time < %(end)s
GROUP BY 1, 2 ORDER BY 1, 2
"""
_LAG: Final = """
WITH busy AS (
    SELECT i.exchange, i.instrument_id,
           row_number() OVER (PARTITION BY i.exchange ORDER BY sum(upper(r) - lower(r)) DESC) AS place
    FROM coverage c JOIN instrument i USING (instrument_id), unnest(c.held) AS r
    WHERE c.instrument_id = ANY(%(instruments)s)
      AND c.day BETWEEN (%(start)s AT TIME ZONE 'UTC')::date AND (%(end)s AT TIME ZONE 'UTC')::date
    GROUP BY 1, 2
)
SELECT b.exchange, (extract(epoch FROM s.step) * 1000000)::bigint,
       percentile_cont(0.5) WITHIN GROUP (
           ORDER BY extract(epoch FROM t.receive_time - t.event_time)::float8 * 1000)
FROM busy b
CROSS JOIN generate_series(
    %(start)s::timestamptz, %(end)s::timestamptz - interval '1 us', %(step)s) AS s(step)
CROSS JOIN LATERAL (
    SELECT receive_time, event_time FROM trade
    WHERE trade.instrument_id = b.instrument_id
      AND event_time >= s.step AND event_time < s.step + %(step)s
    ORDER BY event_time, sequence LIMIT %(trades)s) t
WHERE b.place <= %(sampled)s AND t.receive_time < t.event_time + %(read_again)s
GROUP BY 1, 2 ORDER BY 1, 2
"""


def trade_rates(
    connection: Connection, instruments: Sequence[int], start: int, end: int, step: int
) -> dict[str, dict[int, float]]:
    """Exchange → opening of each step → trades a second, from the candles of [start, end); microseconds."""
    found: dict[str, dict[int, float]] = {}
    for exchange, at, trades in connection.execute(_RATE, _values(instruments, start, end, step)):
        found.setdefault(exchange, {})[at] = trades * MICROSECONDS / step
    return found


def trade_lags(
    connection: Connection, instruments: Sequence[int], start: int, end: int, step: int
) -> dict[str, dict[int, float]]:
    """Exchange → opening of each step → median of receive_time - event_time, milliseconds."""
    values = _values(instruments, start, end, step)
    values |= {"trades": TRADES, "sampled": SAMPLED, "read_again": READ_AGAIN}
    found: dict[str, dict[int, float]] = {}
    for exchange, at, milliseconds in connection.execute(_LAG, values):
        found.setdefault(exchange, {})[at] = milliseconds
    return found


def _values(instruments: Sequence[int], start: int, end: int, step: int) -> dict[str, object]:
    return {
        "instruments": list(instruments),
        "start": moment(start),
        "end": moment(end),
        "step": timedelta(microseconds=step),
    }
