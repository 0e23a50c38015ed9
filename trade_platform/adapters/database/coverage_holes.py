"""Holes inside of coverage, whoever knows of them: the ledger does not depend on having been told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final, TypeAlias

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, Channel

LATE: Final = timedelta(hours=1)
"""What is recorded as it happens, or read again at once, comes sooner."""

_UNNAMED: Final = """
WITH broken AS (
    SELECT i.exchange, i.symbol, c.instrument_id, c.channel, range_agg(c.held) AS held,
           min(c.day) AS first_day, max(c.day) AS last_day,
           array_agg(lower(c.held)) AS firsts, array_agg(upper(c.held) - 1) AS lasts
    FROM coverage c JOIN instrument i USING (instrument_id)
    WHERE c.day >= %(first_day)s AND (%(exchanges)s::text[] = '{}' OR i.exchange = ANY(%(exchanges)s))
      AND (%(symbols)s::text[] = '{}' OR i.symbol = ANY(%(symbols)s))
    GROUP BY i.exchange, i.symbol, c.instrument_id, c.channel
    HAVING upper(range_merge(range_agg(c.held))) - lower(range_merge(range_agg(c.held)))
           > (SELECT sum(upper(r) - lower(r)) FROM unnest(range_agg(c.held)) AS r)
)
SELECT exchange, symbol, instrument_id, channel, held::text, first_day, last_day, numbers::text, firsts, lasts
FROM broken CROSS JOIN LATERAL (
    SELECT coalesce(range_agg(
        CASE WHEN g.state = 'open' THEN int8multirange(int8range(g.first_sequence, g.last_sequence + 1))
             ELSE g.remaining END), '{}') AS numbers
    FROM gap g WHERE g.exchange = broken.exchange AND g.symbol = broken.symbol AND g.channel = broken.channel
                 AND g.first_sequence IS NOT NULL AND g.state <> 'repaired') named
WHERE NOT isempty(int8multirange(range_merge(held)) - held - numbers)
  AND (exchange, symbol, channel) > (%(exchange)s, %(symbol)s, %(channel)s)
ORDER BY 1, 2, 4 LIMIT %(limit)s
"""
_SETTLED: Final = """
SELECT (SELECT max(t.sequence) FROM (
            SELECT sequence FROM trade
            WHERE instrument_id = n.instrument_id AND (flags & 1) = %(aggregate)s AND event_time >= %(low)s
              AND event_time <= greatest(n.newest - %(age)s::interval, %(now)s - 3 * %(age)s::interval)
            ORDER BY event_time DESC, sequence DESC LIMIT 1) t)
FROM (SELECT %(instrument)s::int AS instrument_id, max(event_time) AS newest FROM trade
      WHERE instrument_id = %(instrument)s AND (flags & 1) = %(aggregate)s AND event_time >= %(low)s) n
"""
_LATE: Final = """
SELECT EXISTS (SELECT FROM trade WHERE instrument_id = %s AND event_time = %s AND sequence = %s
               AND (flags & 1) = %s AND receive_time - event_time > %s)
"""
_FROM: Final = """
SELECT sequence, (extract(epoch from event_time) * 1000000)::bigint FROM trade
WHERE instrument_id = %s AND (flags & 1) = %s AND event_time >= %s AND event_time < %s
ORDER BY event_time, sequence LIMIT 1
"""


Key: TypeAlias = tuple[str, str, str]
"""(exchange, symbol, channel)."""


class Unnamed(msgspec.Struct, frozen=True):
    """An instrument whose coverage has a hole that nobody named."""

    exchange: str
    symbol: str
    instrument_id: int
    channel: Channel
    held: Ranges
    first_day: date
    last_day: date
    named: Ranges
    """What open gaps name, and what was given up."""
    firsts: frozenset[int] = frozenset()
    """The lowest number held of each day."""
    lasts: frozenset[int] = frozenset()
    """The highest number held of each day."""

    @property
    def key(self) -> Key:
        return self.exchange, self.symbol, self.channel.value


def broken_coverage(
    connection: Connection,
    first_day: date,
    exchanges: Collection[str] = (),
    symbols: Collection[str] = (),
    limit: int = 500,
    after: Key = ("", "", ""),
) -> list[Unnamed]:
    """Instruments whose coverage since the day has a hole inside that not all is named of.

    ``after``: the last one of the page before.
    """
    parameters = {
        "first_day": first_day,
        "exchanges": list(exchanges),
        "symbols": list(symbols),
        "limit": limit,
        **dict(zip(("exchange", "symbol", "channel"), after, strict=True)),
    }
    return [
        Unnamed(
            *(exchange, symbol, instrument_id, Channel(channel), Ranges.from_text(held), low, high),
            *(Ranges.from_text(named), frozenset(firsts), frozenset(lasts)),
        )
        for (
            *(exchange, symbol, instrument_id, channel, held, low, high, named, firsts, lasts),
        ) in connection.execute(_UNNAMED, parameters)
    ]


def settled_sequence(connection: Connection, one: Unnamed, now: int, age_seconds: float) -> int | None:
    """The highest number that is followed by a trade so much later, or came long enough ago."""
    parameters = {
        "instrument": one.instrument_id,
        "aggregate": int(one.channel is Channel.AGGREGATE_TRADE),
        "low": one.first_day,
        "now": moment(now),
        "age": timedelta(seconds=age_seconds),
    }
    row = connection.execute(_SETTLED, parameters).fetchone()
    return row[0] if row else None


def time_of(connection: Connection, one: Unnamed, sequence: int) -> int:
    """When the trade with this number, or the next that is held, was made; found by halving the days."""
    aggregate = int(one.channel is Channel.AGGREGATE_TRADE)
    low = _start(one.first_day)
    high = _start(one.last_day) + DAY
    found = high
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            _FROM, (one.instrument_id, aggregate, moment(middle), moment(high))
        ).fetchone()
        if row is None or row[0] > sequence:
            found = row[1] if row else found
            high = middle
        elif row[0] == sequence:
            return int(row[1])
        else:
            low = max(int(row[1]), middle) + 1
    return found


def was_read_late(connection: Connection, one: Unnamed, sequence: int) -> bool:
    """The trade with this number came by a backfill, or a repair long after it was made."""
    at = time_of(connection, one, sequence)
    aggregate = int(one.channel is Channel.AGGREGATE_TRADE)
    row = connection.execute(_LATE, (one.instrument_id, moment(at), sequence, aggregate, LATE)).fetchone()
    return bool(row and row[0])


def _start(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY
