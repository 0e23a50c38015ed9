"""What coverage and candles say of a gap: bounded by days and instruments, trades found by their key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.gaps import LedgerGap
from trade_platform.adapters.database.times import day_of, microseconds_of, moment
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import Minutes
from trade_platform.domain.model import MICROSECONDS, Channel

REACH_DAYS: Final = 8
"""An instrument that did not trade for so long before or after a break is not asked about it."""
NUMBERED_DAYS: Final = 40
"""A hole in numbers may have been noted so long after the day that it lies on."""
MINUTES_SYMBOLS: Final = 20
"""Instruments whose missing minutes are held in memory at a time."""
SLACK: Final = 60 * MICROSECONDS
"""By so much an exchange's clock may be behind ours."""

_NUMBERS: Final = """
SELECT g.gap_id, (int8multirange(int8range(g.first, g.last + 1)) - coalesce((
    SELECT range_agg(c.held * int8multirange(int8range(g.first, g.last + 1)))
    FROM instrument i JOIN coverage c ON c.instrument_id = i.instrument_id AND c.channel = g.channel
    WHERE i.exchange = g.exchange AND i.symbol = g.symbol AND c.day BETWEEN g.low AND g.high
), '{}'))::text
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::date[],
            %s::date[]) AS g(gap_id, exchange, symbol, channel, first, last, low, high)
"""
# Bounds of what must be held: the last trade before the break, the first after it. By how much the
# exchange's clock is ahead of ours shows in its newest trades.
_AROUND: Final = """
WITH recorded AS MATERIALIZED (
    SELECT i.instrument_id, i.symbol, newest.ahead, newest.sequence AS newest
    FROM instrument i
    CROSS JOIN LATERAL (
        SELECT t.sequence, t.event_time - t.receive_time AS ahead FROM trade t
        WHERE t.instrument_id = i.instrument_id AND (t.flags & 1) = %(aggregate)s
          AND t.event_time >= %(low)s AND t.event_time < %(high)s
        ORDER BY t.event_time DESC, t.sequence DESC LIMIT 1) newest
    WHERE i.exchange = %(exchange)s AND (%(symbol)s::text IS NULL OR i.symbol = %(symbol)s)
      AND EXISTS (SELECT FROM coverage c WHERE c.instrument_id = i.instrument_id AND c.channel = %(channel)s
                  AND c.day BETWEEN %(first_day)s AND %(last_day)s)
), bounds AS (
    SELECT r.*, before.sequence AS before, earliest.sequence AS earliest, after.sequence AS after
    FROM (SELECT *, greatest(max(ahead) OVER (), interval '0') AS skew FROM recorded) r
    LEFT JOIN LATERAL (
        SELECT t.sequence FROM trade t
        WHERE t.instrument_id = r.instrument_id AND (t.flags & 1) = %(aggregate)s
          AND t.event_time >= %(low)s AND t.event_time < %(since)s
        ORDER BY t.event_time DESC, t.sequence DESC LIMIT 1) before ON true
    LEFT JOIN LATERAL (
        SELECT t.sequence FROM trade t
        WHERE t.instrument_id = r.instrument_id AND (t.flags & 1) = %(aggregate)s
          AND t.event_time >= %(since)s AND t.event_time < %(high)s
        ORDER BY t.event_time, t.sequence LIMIT 1) earliest ON before.sequence IS NULL
    LEFT JOIN LATERAL (
        SELECT t.sequence FROM trade t
        WHERE t.instrument_id = r.instrument_id AND (t.flags & 1) = %(aggregate)s
          AND t.event_time >= %(until)s + r.skew AND t.event_time < %(high)s
        ORDER BY t.event_time, t.sequence LIMIT 1) after ON true
)
SELECT symbol, newest, after IS NOT NULL,
       (int8multirange(int8range(low, greatest(low, upper) + 1)) - coalesce((
           SELECT range_agg(c.held) FROM coverage c
           WHERE c.instrument_id = b.instrument_id AND c.channel = %(channel)s
             AND c.day BETWEEN %(first_day)s AND %(last_day)s), '{}')
        - coalesce((
           SELECT range_agg(g.remaining) FROM gap g
           WHERE g.exchange = %(exchange)s AND g.symbol = b.symbol AND g.channel = %(channel)s
             AND g.first_sequence IS NOT NULL AND g.state = 'unrepairable'), '{}'))::text
FROM (SELECT *, coalesce(before, earliest) AS low, coalesce(after, newest) AS upper FROM bounds) b
"""
_MINUTES: Final = """
SELECT i.symbol, i.instrument_id, ARRAY(
    SELECT m FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '1 minute') AS m
    WHERE NOT EXISTS (
        SELECT FROM candle k WHERE k.instrument_id = i.instrument_id AND k.interval = '1m'
        AND k.open_time = m AND (k.source = 'exchange' OR k.complete)))
FROM instrument i
WHERE i.exchange = %(exchange)s AND (%(symbol)s::text IS NULL OR i.symbol = %(symbol)s)
  AND i.symbol > %(after)s AND (i.expiry IS NULL OR i.expiry > %(first)s)
  AND EXISTS (SELECT FROM time_coverage c WHERE c.instrument_id = i.instrument_id AND c.channel = 'candle'
              AND c.day BETWEEN %(first_day)s AND %(last_day)s)
ORDER BY i.symbol LIMIT %(limit)s
"""
# Looked for until one is found: a break of days has millions of minutes, and is mostly asked about in vain.
_A_MINUTE: Final = """
SELECT i.symbol, missing.m FROM instrument i CROSS JOIN LATERAL (
    SELECT m FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '1 minute') AS m
    WHERE NOT EXISTS (
        SELECT FROM candle k WHERE k.instrument_id = i.instrument_id AND k.interval = '1m'
        AND k.open_time = m AND (k.source = 'exchange' OR k.complete)) LIMIT 1) missing
WHERE i.exchange = %(exchange)s AND (%(symbol)s::text IS NULL OR i.symbol = %(symbol)s)
  AND (i.expiry IS NULL OR i.expiry > %(first)s)
  AND EXISTS (SELECT FROM time_coverage c WHERE c.instrument_id = i.instrument_id AND c.channel = 'candle'
              AND c.day BETWEEN %(first_day)s AND %(last_day)s)
LIMIT 1
"""
_NAMED: Final = """
SELECT symbol, coalesce(range_agg(CASE WHEN state = 'open' THEN int8multirange(int8range(
                              first_sequence, last_sequence + 1)) ELSE remaining END), '{}')::text
FROM gap WHERE exchange = %s AND symbol = ANY(%s) AND channel = %s
           AND first_sequence IS NOT NULL AND state <> 'repaired'
GROUP BY symbol
"""
_DAYS: Final = """
SELECT (SELECT max(c.day) FROM coverage c WHERE c.instrument_id = i.instrument_id AND c.channel = %(channel)s
        AND NOT isempty(c.held) AND lower(c.held) < %(first)s),
       (SELECT min(c.day) FROM coverage c WHERE c.instrument_id = i.instrument_id AND c.channel = %(channel)s
        AND NOT isempty(c.held) AND upper(c.held) - 1 > %(last)s)
FROM instrument i WHERE i.exchange = %(exchange)s AND i.symbol = %(symbol)s
"""


class Around(msgspec.Struct, frozen=True):
    """How a break stands for one instrument's trades."""

    symbol: str
    newest: int
    """Highest number of what is held."""
    passed: bool
    """A trade after the break is held."""
    missing: Ranges


def remaining_numbers(connection: Connection, gaps: Iterable[LedgerGap]) -> dict[int, Ranges]:
    """gap_id → which of its numbers are not held."""
    rows = [
        (
            *(gap.gap_id, gap.exchange, gap.symbol, gap.channel, gap.first, gap.last),
            *(_day(gap.since, -NUMBERED_DAYS), _day(gap.until, 2)),
        )
        for gap in gaps
    ]
    if not rows:
        return {}
    columns = [list(column) for column in zip(*rows, strict=True)]
    return {gap_id: Ranges.from_text(text) for gap_id, text in connection.execute(_NUMBERS, columns)}


def trades_around(connection: Connection, gap: LedgerGap, channel: Channel) -> list[Around]:
    """Every instrument of the channel whose trades were recorded around the break."""
    low, high = _day(gap.since, -REACH_DAYS), _day(gap.until, REACH_DAYS + 1)
    parameters = {
        "exchange": gap.exchange,
        "symbol": gap.symbol,
        "channel": channel.value,
        "aggregate": int(channel is Channel.AGGREGATE_TRADE),
        "since": moment(gap.since - SLACK),
        "until": moment(gap.until),
        "low": low,
        "high": high,
        "first_day": low,
        "last_day": high,
    }
    return [
        Around(symbol, newest, passed, Ranges.from_text(missing))
        for symbol, newest, passed, missing in connection.execute(_AROUND, parameters)
    ]


def a_missing_minute(connection: Connection, gap: LedgerGap, minutes: Minutes) -> tuple[str, datetime] | None:
    """A symbol and a minute without a closed candle; None where there is one of each minute."""
    row = connection.execute(_A_MINUTE, _minutes(gap, minutes)).fetchone()
    return None if row is None else (row[0], row[1])


def missing_minutes(
    connection: Connection, gap: LedgerGap, minutes: Minutes, after: str = ""
) -> dict[str, list[int]]:
    """Some symbols, the first ones after this → openings of all the minutes without a closed candle."""
    parameters = {**_minutes(gap, minutes), "after": after, "limit": MINUTES_SYMBOLS}
    return {
        symbol: [microseconds_of(opening) for opening in openings]
        for symbol, _, openings in connection.execute(_MINUTES, parameters)
    }


def _minutes(gap: LedgerGap, minutes: Minutes) -> dict[str, object]:
    return {
        "exchange": gap.exchange,
        "symbol": gap.symbol,
        "first": moment(minutes.first),
        "last": moment(minutes.last),
        "first_day": _day(gap.since, -1),
        "last_day": _day(gap.until, 0),
    }


def named_numbers(
    connection: Connection, exchange: str, symbols: Iterable[str], channel: Channel
) -> dict[str, Ranges]:
    """Symbol → numbers that some gap of the ledger stands for: open ones, and those that were given up."""
    rows = connection.execute(_NAMED, (exchange, list(symbols), channel.value))
    return {symbol: Ranges.from_text(numbers) for symbol, numbers in rows}


def days_around(connection: Connection, gap: LedgerGap, numbers: Ranges) -> list[date]:
    """The days on which these numbers can lie: from the last held before to the first held after."""
    assert numbers.lowest is not None
    assert numbers.highest is not None
    parameters: Mapping[str, object] = {
        "exchange": gap.exchange,
        "symbol": gap.symbol,
        "channel": gap.channel,
        "first": numbers.lowest,
        "last": numbers.highest,
    }
    row = connection.execute(_DAYS, dict(parameters)).fetchone() or (None, None)
    first, last = row[0] or day_of(gap.since), row[1] or day_of(gap.until)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _day(time: int, offset: int) -> date:
    return day_of(time) + timedelta(days=offset)
