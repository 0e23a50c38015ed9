"""What can be asked of one instrument's day without knowing its trades: coverage, duplicates, prices, gaps.

Each statement is bounded by the day, and by a handful of examples.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import span_of
from trade_platform.adapters.database.partitions import partition_name
from trade_platform.domain.model import Channel

EXAMPLES: Final = 5
"""So many of what is wrong are named."""

_PRESENT: Final = "SELECT to_regclass(%s) IS NOT NULL"
# Beside the day: where the coverage of the next days ends and begins, if there is any. What lies between the
# days of which nothing was recorded cannot be told.
_COVERAGE: Final = """
SELECT c.channel, (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(c.held) AS r)::bigint,
       (upper(c.held) - lower(c.held)
        - (SELECT sum(upper(r) - lower(r)) FROM unnest(c.held) AS r))::bigint,
       (lower(c.held) - b.upper)::bigint, (a.lower - upper(c.held))::bigint,
       EXISTS (SELECT FROM coverage n WHERE n.instrument_id = c.instrument_id AND n.channel = c.channel
               AND n.day IN (c.day - 1, c.day + 1) AND NOT isempty(n.held * c.held)),
       coalesce((SELECT string_agg(r::text, ' ' ORDER BY r) FROM (
           SELECT r FROM unnest(int8multirange(range_merge(c.held)) - c.held) AS r ORDER BY r LIMIT 5) h), '')
FROM coverage c
LEFT JOIN LATERAL (
    SELECT upper(held) AS upper FROM coverage b WHERE b.instrument_id = c.instrument_id
    AND b.channel = c.channel AND b.day = c.day - 1 AND NOT isempty(b.held)) b ON true
LEFT JOIN LATERAL (
    SELECT lower(held) AS lower FROM coverage a WHERE a.instrument_id = c.instrument_id
    AND a.channel = c.channel AND a.day = c.day + 1 AND NOT isempty(a.held)) a ON true
WHERE c.instrument_id = %(instrument)s AND c.day = %(day)s AND NOT isempty(c.held)
ORDER BY c.channel
"""
_ROWS: Final = """
SELECT count(*), count(DISTINCT sequence) FROM trade
WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
  AND (flags & 1) = %(aggregate)s
"""
_REPEATED: Final = """
SELECT sequence, count(*) FROM trade
WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
GROUP BY (flags & 1), sequence HAVING count(*) > 1 ORDER BY 1 LIMIT %(limit)s
"""
# Numbers and ids grow with time, so that a filler has none. A row without any price is allowed: of a minute
# of block trades alone, before anybody knew a price.
_INVARIANTS: Final = """
SELECT interval, open_time, source, rule
FROM candle c CROSS JOIN LATERAL (VALUES
    ('prices are all there or none is', num_nulls(open, high, low, close) IN (0, 4)),
    ('low is lowest', low <= least(open, high, close)),
    ('high is highest', high >= greatest(open, low, close)),
    ('nothing is negative', least(volume, taker_buy_volume, trades) >= 0),
    ('takers bought no more than all', taker_buy_volume <= volume),
    ('without trades nothing is traded', trades <> 0 OR (volume = 0 AND low = high)),
    ('ids are in order and as many as trades', first_id + trades - 1 <= last_id),
    ('it opens on its interval', date_bin(width, open_time, timestamptz 'epoch') = open_time)
) AS v(rule, holds)
WHERE c.instrument_id = %(instrument)s AND open_time >= %(start)s AND open_time < %(end)s
  AND c.interval = ANY(%(intervals)s) AND NOT holds
ORDER BY open_time, interval LIMIT %(limit)s
""".replace(
    "width",
    "CASE right(interval, 1) WHEN 'd' THEN interval '1 day' WHEN 'h' THEN "
    "make_interval(hours => left(interval, -1)::int) ELSE make_interval(mins => left(interval, -1)::int) END",
)
_GAPS: Final = """
SELECT g.state, g.reason, g.channel, g.since, g.verdict
FROM gap g JOIN instrument i ON i.instrument_id = %(instrument)s AND g.exchange = i.exchange
WHERE g.state <> 'repaired' AND (g.symbol IS NULL OR g.symbol = i.symbol)
  AND (g.channel IS NULL OR g.channel = ANY(%(channels)s))
  AND g.since < %(end)s AND coalesce(g.until, g.detected_at) >= %(start)s
ORDER BY (g.state <> 'open'), g.since LIMIT %(limit)s
"""
_GAP_LIMIT: Final = 1000


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """What coverage says of one channel of trades on one day, and what the table holds of it."""

    channel: Channel
    held: int
    """Numbers."""
    missing: int
    """Between the first and the last of the day."""
    before: int | None
    """Between the last of the nearest day before and the first of this; None: there is none."""
    after: int | None
    overlaps: bool
    """A number is held on this day and on the next or the one before."""
    holes: str
    rows: int | None
    """Trades in the table; None where they are no longer kept."""
    numbers: int | None
    """Different numbers among them."""


def load_stretches(connection: Connection, instrument_id: int, day: date) -> list[Stretch]:
    """By channel; empty where no trade of the day was recorded."""
    span = {**span_of(instrument_id, day), "day": day}
    present = has_trades(connection, day)
    found = []
    for channel, held, missing, before, after, overlaps, holes in connection.execute(
        _COVERAGE, span
    ).fetchall():
        aggregate = int(channel == Channel.AGGREGATE_TRADE)
        rows, numbers = None, None
        if present:
            rows, numbers = connection.execute(_ROWS, {**span, "aggregate": aggregate}).fetchone() or (0, 0)
        found.append(
            Stretch(
                channel=Channel(channel),
                held=held,
                missing=missing,
                before=before,
                after=after,
                overlaps=overlaps,
                holes=holes,
                rows=rows,
                numbers=numbers,
            )
        )
    return found


def repeated_numbers(connection: Connection, instrument_id: int, day: date) -> list[tuple[int, int]]:
    """(number, rows) of trades that the table holds more than once; a few of them."""
    if not has_trades(connection, day):
        return []
    rows = connection.execute(_REPEATED, {**span_of(instrument_id, day), "limit": EXAMPLES})
    return [(sequence, count) for sequence, count in rows]


def broken_rules(
    connection: Connection, instrument_id: int, day: date, intervals: list[str]
) -> list[tuple[str, datetime, str, str]]:
    """(interval, open_time, source, rule) of candles that cannot be; a few of them."""
    parameters = {**span_of(instrument_id, day), "intervals": intervals, "limit": EXAMPLES}
    return list(connection.execute(_INVARIANTS, parameters))


def gaps_of(connection: Connection, instrument_id: int, day: date) -> list[tuple[Any, ...]]:
    """(state, reason, channel, since, verdict) of what was noted missing of the day and is not held."""
    channels = [Channel.TRADE.value, Channel.AGGREGATE_TRADE.value, Channel.CANDLE.value]
    parameters = {**span_of(instrument_id, day), "channels": channels, "limit": _GAP_LIMIT}
    return connection.execute(_GAPS, parameters).fetchall()


def has_trades(connection: Connection, day: date) -> bool:
    """The day's trades are kept."""
    row = connection.execute(_PRESENT, (partition_name("trade", day),)).fetchone()
    return bool(row and row[0])
