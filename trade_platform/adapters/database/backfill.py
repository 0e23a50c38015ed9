"""What a backfill asks of the tables: what is held around a day, what it lacks, and who else is at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import microseconds_of, moment
from trade_platform.domain.backfill import Around
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import Channel

LOCK: Final = "trade_platform backfill"

_AROUND: Final = """
SELECT (SELECT upper(held) - 1 FROM coverage WHERE instrument_id = %(instrument)s AND channel = %(channel)s
        AND day < %(day)s AND NOT isempty(held) ORDER BY day DESC LIMIT 1),
       coalesce((SELECT held FROM coverage WHERE instrument_id = %(instrument)s AND channel = %(channel)s
                 AND day = %(day)s), '{}')::text,
       (SELECT lower(held) FROM coverage WHERE instrument_id = %(instrument)s AND channel = %(channel)s
        AND day > %(day)s AND NOT isempty(held) ORDER BY day LIMIT 1)
"""
_LACKING: Final = """
SELECT (int8multirange(int8range(%(low)s, %(high)s)) - coalesce((
    SELECT range_agg(held * int8multirange(int8range(%(low)s, %(high)s))) FROM coverage
    WHERE instrument_id = %(instrument)s AND channel = %(channel)s AND held && int8range(%(low)s, %(high)s)
), '{}'))::text
"""
_MINUTES: Final = """
SELECT m FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '1 minute') AS m
WHERE NOT EXISTS (SELECT FROM candle k WHERE k.instrument_id = %(instrument)s AND k.interval = '1m'
                  AND k.open_time = m AND k.source = 'exchange')
ORDER BY m
"""
_BUILT: Final = """
SELECT EXISTS (SELECT FROM candle WHERE instrument_id = %s AND interval = '1d' AND open_time = %s
               AND source = 'trade' AND complete)
"""
_CHANNEL: Final = """
SELECT channel FROM coverage WHERE instrument_id = %s AND channel = ANY(%s) AND NOT isempty(held)
ORDER BY day DESC LIMIT 1
"""
_NAMED: Final = """
SELECT instrument_id, exchange, symbol FROM instrument
WHERE (%(exchanges)s::text[] = '{}' OR exchange = ANY(%(exchanges)s)) AND symbol = ANY(%(symbols)s)
ORDER BY exchange, symbol
"""
_RECORDED: Final = """
SELECT instrument_id, exchange, symbol FROM instrument i
WHERE (%(exchanges)s::text[] = '{}' OR exchange = ANY(%(exchanges)s))
  AND EXISTS (SELECT FROM coverage c WHERE c.instrument_id = i.instrument_id
              AND c.channel IN ('trade', 'aggregate_trade') AND NOT isempty(c.held))
ORDER BY exchange, symbol
"""
_TRY: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_RELEASE: Final = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
# Looked at, never taken: whoever looks must not be in the way of one who begins.
_RUNS: Final = """
SELECT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0))
"""


class Named(msgspec.Struct, frozen=True):
    """An instrument whose past may be wanted."""

    instrument_id: int
    exchange: str
    symbol: str


def around_day(connection: Connection, instrument_id: int, channel: Channel, day: date) -> Around:
    """What is held of the day, and next to it."""
    parameters = {"instrument": instrument_id, "channel": channel.value, "day": day}
    row = connection.execute(_AROUND, parameters).fetchone()
    assert row is not None
    return Around(row[0], Ranges.from_text(row[1]), row[2])


def lacking(connection: Connection, instrument_id: int, channel: Channel, low: int, high: int) -> Ranges:
    """Which of the numbers [low, high) are held on no day."""
    parameters = {"instrument": instrument_id, "channel": channel.value, "low": low, "high": max(low, high)}
    row = connection.execute(_LACKING, parameters).fetchone()
    assert row is not None
    return Ranges.from_text(row[0])


def minutes_without_candle(connection: Connection, instrument_id: int, first: int, last: int) -> list[int]:
    """Openings in [first, last] of which the exchange's own candle is not held; microseconds UTC."""
    if last < first:
        return []
    parameters = {"instrument": instrument_id, "first": moment(first), "last": moment(last)}
    return [microseconds_of(opening) for (opening,) in connection.execute(_MINUTES, parameters)]


def is_built(connection: Connection, instrument_id: int, day_start: int) -> bool:
    """The day's own candle is there, made of all its minutes."""
    row = connection.execute(_BUILT, (instrument_id, moment(day_start))).fetchone()
    return bool(row and row[0])


def recorded_channel(
    connection: Connection, instrument_id: int, channels: Sequence[Channel]
) -> Channel | None:
    """In which of these sequences its trades were stored last."""
    row = connection.execute(_CHANNEL, (instrument_id, [one.value for one in channels])).fetchone()
    return Channel(row[0]) if row else None


def instruments_named(
    connection: Connection, exchanges: Sequence[str], symbols: Sequence[str]
) -> list[Named]:
    """Those with these symbols; without symbols all of which trades are stored."""
    parameters = {"exchanges": list(exchanges), "symbols": list(symbols)}
    rows = connection.execute(_NAMED if symbols else _RECORDED, parameters)
    return [Named(*row) for row in rows]


def try_to_begin(connection: Connection) -> bool:
    """Become the one who backfills, for as long as the connection lives; False where somebody is."""
    row = connection.execute(_TRY, (LOCK,)).fetchone()
    return bool(row and row[0])


def end(connection: Connection) -> None:
    """Let another one begin."""
    connection.execute(_RELEASE, (LOCK,))


def one_runs(connection: Connection) -> bool:
    """Somebody backfills now."""
    row = connection.execute(_RUNS, (LOCK,)).fetchone()
    return bool(row and row[0])
