"""What hours and days hold: from coverage, candles and steps in an index, never by a scan of trades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, TypeAlias

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import Channel

Series: TypeAlias = tuple[int, Channel]
"""(instrument_id, channel)."""
MinutesGivenUp: TypeAlias = tuple[str, str | None, int, int]
"""(exchange, symbol or None for all of them, since, until) of a break in candles that nobody serves again."""

# The days themselves, and the last day before them that holds anything.
_DAYS: Final = """
WITH own AS (
    SELECT instrument_id, channel, day, held FROM coverage
    WHERE channel IN ('trade', 'aggregate_trade') AND day BETWEEN %(first)s AND %(last)s AND NOT isempty(held)
)
SELECT instrument_id, channel, day, held::text FROM own
UNION ALL
SELECT s.instrument_id, s.channel, b.day, b.held::text
FROM (SELECT DISTINCT instrument_id, channel FROM own) s
CROSS JOIN LATERAL (
    SELECT day, held FROM coverage c
    WHERE c.instrument_id = s.instrument_id AND c.channel = s.channel AND c.day < %(first)s
      AND NOT isempty(c.held)
    ORDER BY c.day DESC LIMIT 1) b
ORDER BY 1, 2, 3
"""
_BOUNDS: Final = """
SELECT n.instrument_id, n.aggregate, (extract(epoch FROM low.at) * 1000000)::bigint,
       (extract(epoch FROM high.at) * 1000000)::bigint
FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[]) AS n(instrument_id, aggregate, first, last)
CROSS JOIN LATERAL (
    SELECT event_time AS at FROM trade t
    WHERE t.instrument_id = n.instrument_id AND (t.flags & 1) = n.aggregate
      AND t.event_time >= n.first::timestamp AT TIME ZONE 'UTC'
      AND t.event_time < (n.first + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY t.event_time, t.sequence LIMIT 1) low
CROSS JOIN LATERAL (
    SELECT event_time AS at FROM trade t
    WHERE t.instrument_id = n.instrument_id AND (t.flags & 1) = n.aggregate
      AND t.event_time >= n.last::timestamp AT TIME ZONE 'UTC'
      AND t.event_time < (n.last + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY t.event_time DESC, t.sequence DESC LIMIT 1) high
"""
_ENDS: Final = """
SELECT n.instrument_id, n.aggregate, (extract(epoch FROM h.hour) * 1000000)::bigint,
       low.sequence, high.sequence
FROM unnest(%(instruments)s::int[], %(aggregates)s::int[]) AS n(instrument_id, aggregate)
CROSS JOIN generate_series(
    %(start)s::timestamptz, %(end)s::timestamptz - interval '1 hour', interval '1 hour') AS h(hour)
CROSS JOIN LATERAL (
    SELECT sequence FROM trade t
    WHERE t.instrument_id = n.instrument_id AND (t.flags & 1) = n.aggregate
      AND t.event_time >= h.hour AND t.event_time < h.hour + interval '1 hour'
    ORDER BY t.event_time, t.sequence LIMIT 1) low
CROSS JOIN LATERAL (
    SELECT sequence FROM trade t
    WHERE t.instrument_id = n.instrument_id AND (t.flags & 1) = n.aggregate
      AND t.event_time >= h.hour AND t.event_time < h.hour + interval '1 hour'
    ORDER BY t.event_time DESC, t.sequence DESC LIMIT 1) high
"""
_MINUTES: Final = """
SELECT instrument_id, (extract(epoch FROM date_trunc('hour', open_time, 'UTC')) * 1000000)::bigint AS hour,
       count(*) FILTER (WHERE source = 'trade' AND complete), count(*) FILTER (WHERE source = 'exchange'),
       (extract(epoch FROM min(open_time) FILTER (WHERE source = 'exchange')) * 1000000)::bigint
FROM candle
WHERE instrument_id = ANY(%(instruments)s) AND interval = '1m'
  AND open_time >= %(start)s AND open_time < %(end)s
GROUP BY 1, 2
"""
# A gap may be noted long after the day that its numbers lie on, and long before they are given up.
_LEDGER: Final = """
SELECT exchange, symbol, channel, count(*) FILTER (WHERE state = 'open'),
       coalesce(range_agg(remaining) FILTER (
           WHERE state = 'unrepairable' AND first_sequence IS NOT NULL), '{}')::text
FROM gap WHERE state <> 'repaired' GROUP BY 1, 2, 3
"""
_MINUTES_GIVEN_UP: Final = """
SELECT exchange, symbol, (extract(epoch FROM since) * 1000000)::bigint,
       (extract(epoch FROM coalesce(until, detected_at)) * 1000000)::bigint
FROM gap WHERE channel = 'candle' AND state = 'unrepairable' AND coalesce(until, detected_at) > %s
"""


class HourOfMinutes(msgspec.Struct, frozen=True):
    """Of one instrument and hour: minutes whose candle is held."""

    instrument_id: int
    hour: int
    proven: int
    """Made of our trades and complete."""
    told: int
    """Closed candles of the exchange."""
    first_told: int | None
    """Opening of the first of these."""


class Ledger(msgspec.Struct, frozen=True):
    """How the gaps of one channel stand."""

    exchange: str
    symbol: str | None
    channel: Channel | None
    open: int
    given_up: Ranges


def load_days(connection: Connection, first: date, last: date) -> dict[Series, dict[date, Ranges]]:
    """Numbers held, by day, and of the last day before; only of what has any in [first, last]."""
    found: dict[Series, dict[date, Ranges]] = {}
    for instrument_id, channel, day, held in connection.execute(_DAYS, {"first": first, "last": last}):
        found.setdefault((instrument_id, Channel(channel)), {})[day] = Ranges.from_text(held)
    return found


def load_bounds(
    connection: Connection, days: Iterable[tuple[Series, date, date]]
) -> dict[Series, tuple[int, int]]:
    """Event times of the first trade of the one day and the last of the other, microseconds UTC."""
    rows = [(instrument_id, _aggregate(channel), low, high) for (instrument_id, channel), low, high in days]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return {
        (instrument_id, _channel(aggregate)): (low, high)
        for instrument_id, aggregate, low, high in connection.execute(_BOUNDS, columns)
    }


def load_ends(
    connection: Connection, series: Sequence[Series], start: int, end: int
) -> dict[Series, dict[int, tuple[int, int]]]:
    """Hour → numbers of its first and its last trade, for hours of [start, end) that have any."""
    found: dict[Series, dict[int, tuple[int, int]]] = {one: {} for one in series}
    values = {
        "instruments": [instrument_id for instrument_id, _ in series],
        "aggregates": [_aggregate(channel) for _, channel in series],
        "start": moment(start),
        "end": moment(end),
    }
    for instrument_id, aggregate, hour, low, high in connection.execute(_ENDS, values):
        found[instrument_id, _channel(aggregate)][hour] = low, high
    return found


def load_minutes(
    connection: Connection, instruments: Sequence[int], start: int, end: int
) -> list[HourOfMinutes]:
    """How many minutes of each hour of [start, end) have their candle."""
    values = {"instruments": list(instruments), "start": moment(start), "end": moment(end)}
    return [HourOfMinutes(*row) for row in connection.execute(_MINUTES, values)]


def load_ledger(connection: Connection) -> list[Ledger]:
    """Gaps that are open, and numbers that were given up."""
    return [
        Ledger(exchange, symbol, Channel(channel) if channel else None, opened, Ranges.from_text(given_up))
        for exchange, symbol, channel, opened, given_up in connection.execute(_LEDGER)
    ]


def load_minutes_given_up(connection: Connection, start: int) -> list[MinutesGivenUp]:
    """Those that ended after ``start``."""
    rows = connection.execute(_MINUTES_GIVEN_UP, (moment(start),))
    return [(exchange, symbol, since, until) for exchange, symbol, since, until in rows]


def _aggregate(channel: Channel) -> int:
    return int(channel is Channel.AGGREGATE_TRADE)


def _channel(aggregate: int) -> Channel:
    return Channel.AGGREGATE_TRADE if aggregate else Channel.TRADE
