"""Wider candles, each made from the next narrower ones: 5m, 15m, 1h, 4h, 1d.

A bucket is made when it is over: of our own minutes where it has any, else of the exchange's, never of
both. It is complete when none of its parts is absent and each is complete. What has no price of its own
(no trades, or block trades alone) lends its price to a bucket only where nothing in it has one, exactly as
``domain/ohlc.rollup`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.marks import MARK
from trade_platform.adapters.database.times import EPOCH, microseconds_of, moment
from trade_platform.domain.ohlc import INTERVALS


class Step(msgspec.Struct, frozen=True):
    """One interval, and the narrower one that it is made of."""

    interval: str
    narrow: str

    @property
    def width(self) -> int:
        return INTERVALS[self.interval]

    @property
    def parts(self) -> int:
        """How many narrower candles a whole bucket has."""
        return self.width // INTERVALS[self.narrow]

    def until(self, now: int) -> int:
        """Opening of the running bucket: those before it are over."""
        return now - now % self.width


STEPS: Final = (
    *(Step("5m", "1m"), Step("15m", "5m"), Step("1h", "15m"), Step("4h", "1h"), Step("1d", "4h")),
)


class Bucket(msgspec.Struct, frozen=True, order=True):
    """A wider candle that is over and is not what its parts make now."""

    instrument_id: int
    interval: str
    open_time: int


class Rolled(msgspec.Struct, frozen=True):
    """What one step did."""

    marks: int
    buckets: int
    changed: int


_VALUES: Final = (
    *("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume"),
    *("taker_buy_quote_volume", "first_id", "last_id", "complete", "event_time", "receive_time"),
    "blocks_only",
)
_NEW: Final = ", ".join(f"excluded.{name}" for name in _VALUES)
_OLD: Final = ", ".join(f"candle.{name}" for name in _VALUES)
_MADE: Final = f"""
INSERT INTO candle (instrument_id, interval, open_time, source, {", ".join(_VALUES)})
SELECT b.instrument_id, %(interval)s, b.open_time, r.source,
       CASE WHEN priced THEN opened ELSE carried END, CASE WHEN priced THEN high ELSE carried END,
       CASE WHEN priced THEN low ELSE carried END, CASE WHEN priced THEN closed ELSE carried END,
       r.volume, r.quote_volume, r.trades, r.taker_buy_volume, r.taker_buy_quote_volume,
       r.first_id, r.last_id, r.complete, r.event_time, r.receive_time,
       coalesce(r.trades, 0) > 0 AND NOT priced
FROM bucket b
CROSS JOIN LATERAL (
    SELECT source, coalesce(bool_or(own), false) AS priced,
           (array_agg(open ORDER BY open_time) FILTER (WHERE own))[1] AS opened,
           max(high) FILTER (WHERE own) AS high, min(low) FILTER (WHERE own) AS low,
           (array_agg(close ORDER BY open_time DESC) FILTER (WHERE own))[1] AS closed,
           (array_agg(close ORDER BY open_time) FILTER (WHERE close IS NOT NULL))[1] AS carried,
           sum(volume) AS volume, sum(quote_volume) AS quote_volume, sum(trades)::bigint AS trades,
           sum(taker_buy_volume) AS taker_buy_volume,
           sum(taker_buy_quote_volume) AS taker_buy_quote_volume,
           min(first_id) AS first_id, max(last_id) AS last_id,
           bool_and(complete) AND count(*) = %(parts)s AS complete,
           max(event_time) AS event_time, max(receive_time) AS receive_time
    FROM (
        SELECT *, NOT blocks_only AND (trades > 0 OR trades IS NULL AND volume > 0) AS own FROM candle
        WHERE instrument_id = b.instrument_id AND interval = %(narrow)s
          AND open_time >= b.open_time AND open_time < b.open_time + %(width)s
    ) part
    GROUP BY source ORDER BY source DESC LIMIT 1
) r
ON CONFLICT (instrument_id, interval, open_time, source) DO UPDATE SET ({", ".join(_VALUES)}) = ({_NEW})
WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})
RETURNING instrument_id, interval, open_time
"""  # noqa: S608 - names of our own, here and below
_TAKE: Final = """
DELETE FROM rollup_due
WHERE ctid = ANY(ARRAY(SELECT ctid FROM rollup_due
                       WHERE interval = %(narrow)s AND open_time < %(until)s LIMIT %(most)s))
RETURNING instrument_id, open_time
"""
_TAKE_DAY: Final = """
DELETE FROM rollup_due
WHERE instrument_id = %(instrument)s AND interval = %(narrow)s
  AND open_time >= %(start)s AND open_time < least(%(until)s, %(end)s)
RETURNING instrument_id, open_time
"""
_TOUCHED: Final = """
SELECT DISTINCT instrument_id, date_bin(%(width)s, open_time, %(epoch)s) AS open_time FROM taken
"""
_ALL: Final = """
SELECT %(instrument)s::int AS instrument_id, open_time
FROM generate_series(%(start)s, least(%(until)s, %(end)s) - %(width)s, %(width)s) AS open_time
"""


def _statement(take: str, buckets: str) -> str:
    """Take marks, name buckets, make them; the answer is (marks, buckets, candles that changed)."""
    return f"""
WITH taken AS ({take}), bucket AS MATERIALIZED ({buckets}), changed AS ({_MADE}), marked AS ({MARK})
SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM bucket), (SELECT count(*) FROM changed)
"""  # noqa: S608


_ROLL_DUE: Final = _statement(_TAKE, _TOUCHED)
_ROLL_DAY: Final = _statement(_TAKE_DAY, _ALL)
_STALE: Final = """
SELECT DISTINCT d.instrument_id, n.interval, date_bin(n.width, d.open_time, %(epoch)s)
FROM rollup_due d
JOIN unnest(%(intervals)s::text[], %(narrow)s::text[], %(widths)s::interval[], %(until)s::timestamptz[])
     AS n(interval, narrow, width, until) ON n.narrow = d.interval AND d.open_time < n.until
LIMIT %(most)s
"""


def roll_due(connection: Connection, step: Step, *, now: int, most: int) -> Rolled:
    """Make the buckets anew that are marked and over, of at most so many marks. In one snapshot."""
    return _run(connection, _ROLL_DUE, step, {"most": most}, now)


def roll_day(connection: Connection, step: Step, asked: Mapping[str, Any], *, now: int) -> Rolled:
    """Make every bucket of an instrument's day that is over, marked or not. In one snapshot."""
    return _run(connection, _ROLL_DAY, step, asked, now)


def load_stale(connection: Connection, *, now: int, most: int) -> list[Bucket]:
    """Buckets that are over and whose parts changed since they were made, at most so many."""
    parameters = {
        "epoch": EPOCH,
        "intervals": [step.interval for step in STEPS],
        "narrow": [step.narrow for step in STEPS],
        "widths": [timedelta(microseconds=step.width) for step in STEPS],
        "until": [moment(step.until(now)) for step in STEPS],
        "most": most,
    }
    rows = connection.execute(_STALE, parameters)
    return sorted(Bucket(number, interval, microseconds_of(at)) for number, interval, at in rows)


def _run(
    connection: Connection, statement: str, step: Step, parameters: Mapping[str, Any], now: int
) -> Rolled:
    asked = {
        **parameters,
        "interval": step.interval,
        "narrow": step.narrow,
        "parts": step.parts,
        "width": timedelta(microseconds=step.width),
        "until": moment(step.until(now)),
        "epoch": EPOCH,
    }
    row = connection.execute(statement, asked).fetchone()
    assert row is not None
    return Rolled(*row)
