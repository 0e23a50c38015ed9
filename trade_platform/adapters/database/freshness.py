"""What came last, of whatever is recorded: bounded queries, asked every half minute by the sensors."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of, moment

DAYS: Final = 2
"""Today's and yesterday's coverage is looked at: an instrument that rests longer is not expected."""
MINUTE_SECONDS: Final = 60
MOST_LETTERS: Final = 1000

# Each look is some steps in a primary key, for today's and yesterday's rows alone.
_INSTRUMENTS: Final = """
SELECT i.exchange, i.symbol, i.kind, i.status, c.channel, c.held, c.missing, c.ranges,
       (extract(epoch FROM newest.received) * 1000000)::bigint,
       (extract(epoch FROM heard.until) * 1000000)::bigint,
       coalesce(extract(epoch FROM newest.at - oldest.at), 0)::float8,
       coalesce(minute.trades, 0), (extract(epoch FROM told.at) * 1000000)::bigint,
       coalesce(i.expiry <= %(now)s, false)
FROM instrument i
CROSS JOIN LATERAL (
    SELECT k.channel, max(k.day) AS day, sum(s.held)::bigint AS held, max(s.ranges) AS ranges,
           greatest(max(upper(k.held)) - min(lower(k.held)) - sum(s.held), 0)::bigint AS missing
    FROM unnest(ARRAY['trade', 'aggregate_trade']) AS wanted (channel)
    JOIN coverage k ON k.instrument_id = i.instrument_id AND k.channel = wanted.channel
                   AND k.day IN (%(today)s, %(yesterday)s)
    CROSS JOIN LATERAL (
        SELECT sum(upper(r) - lower(r)) AS held, count(*) AS ranges FROM unnest(k.held) AS r) s
    WHERE NOT isempty(k.held) GROUP BY k.channel
) c
LEFT JOIN LATERAL (
    SELECT receive_time AS received, event_time AS at FROM trade t
    WHERE t.instrument_id = i.instrument_id AND t.event_time >= %(from)s AND t.event_time < %(until)s
    ORDER BY t.event_time DESC, t.sequence DESC LIMIT 1
) newest ON true
LEFT JOIN LATERAL (
    SELECT event_time AS at FROM trade t
    WHERE t.instrument_id = i.instrument_id AND t.event_time >= %(from)s AND t.event_time < %(until)s
    ORDER BY t.event_time, t.sequence LIMIT 1
) oldest ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS trades FROM trade t
    WHERE t.instrument_id = i.instrument_id AND t.event_time >= %(minute)s AND t.event_time < %(until)s
) minute ON newest.at >= %(minute)s
LEFT JOIN LATERAL (
    SELECT max(upper(h.held)) AS until
    FROM unnest(ARRAY['candle', 'quote', 'ticker', 'mark', 'index', 'open_interest']) AS wanted (channel)
    JOIN time_coverage h ON h.instrument_id = i.instrument_id AND h.channel = wanted.channel
                        AND h.day IN (%(today)s, %(yesterday)s)
) heard ON true
LEFT JOIN LATERAL (
    SELECT open_time AS at FROM candle m
    WHERE m.instrument_id = i.instrument_id AND m.interval = '1m' AND m.open_time >= %(from)s
    ORDER BY open_time DESC LIMIT 1
) told ON true
ORDER BY 1, 2, 5
"""
_HEARD: Final = """
SELECT i.exchange, h.channel, (extract(epoch FROM max(upper(h.held))) * 1000000)::bigint, count(*)
FROM instrument i
CROSS JOIN unnest(ARRAY['quote', 'ticker', 'mark', 'index', 'volatility', 'open_interest'])
    AS wanted (channel)
JOIN time_coverage h ON h.instrument_id = i.instrument_id AND h.channel = wanted.channel
                    AND h.day IN (%(today)s, %(yesterday)s)
WHERE NOT isempty(h.held) GROUP BY 1, 2 ORDER BY 1, 2
"""
_OPEN: Final = """
SELECT exchange, count(*), extract(epoch FROM clock_timestamp() - min(detected_at))::float8
FROM gap WHERE state = 'open' GROUP BY 1 ORDER BY 1
"""
_LOST: Final = """
SELECT count(*) FROM gap WHERE detected_at > clock_timestamp() - interval '1 day'
AND state = 'unrepairable' AND channel IN ('trade', 'aggregate_trade')
"""
_LETTERS: Final = """
WITH letters AS (SELECT stream, error, at FROM dead_letter LIMIT %s)
SELECT stream, left(error, 120), count(*), (extract(epoch FROM max(at)) * 1000000)::bigint
FROM letters GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20
"""


class RecordedTrades(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's trades of today and yesterday. Times: market time, microseconds UTC."""

    exchange: str
    symbol: str
    kind: str
    status: str
    """The exchange's own word."""
    channel: str
    held: int
    """Numbers held."""
    missing: int
    """Numbers missing between the first and the last of them."""
    ranges: int
    """Runs that the more broken of the two days consists of."""
    newest: int | None
    """When the newest trade was received."""
    heard: int | None
    """Until when anything else of it is known to have come without a break."""
    span_seconds: float
    """From its first trade to its last."""
    minute: int
    """Trades of the last market minute."""
    candle: int | None
    """Opening of its newest 1-minute candle, of whatever source."""
    expired: bool

    @property
    def told(self) -> int | None:
        """When anything came of it at last."""
        return max((at for at in (self.newest, self.heard) if at is not None), default=None)


class Heard(msgspec.Struct, frozen=True):
    """Numbers of one channel of an exchange."""

    exchange: str
    channel: str
    until: int
    """Market time, microseconds UTC."""
    instruments: int


class OpenGaps(msgspec.Struct, frozen=True):
    exchange: str
    open: int
    oldest_seconds: float


class Letters(msgspec.Struct, frozen=True):
    """Dead letters of one stream with the same error."""

    stream: str
    error: str
    count: int
    newest: int
    """Microseconds UTC."""


def recorded_trades(connection: Connection, market_time: int) -> list[RecordedTrades]:
    """One line an instrument and trade channel with coverage of today or yesterday."""
    rows = connection.execute(_INSTRUMENTS, _window(market_time))
    return [RecordedTrades(**dict(zip(RecordedTrades.__struct_fields__, row, strict=True))) for row in rows]


def heard_numbers(connection: Connection, market_time: int) -> list[Heard]:
    """By exchange and channel."""
    return [Heard(*row) for row in connection.execute(_HEARD, _window(market_time))]


def open_gap_counts(connection: Connection) -> list[OpenGaps]:
    """By exchange."""
    return [OpenGaps(*row) for row in connection.execute(_OPEN)]


def lost_today(connection: Connection) -> int:
    """Gaps in trades of the last 24 hours that were given up."""
    row = connection.execute(_LOST).fetchone()
    return int(row[0]) if row else 0


def dead_letters(connection: Connection) -> list[Letters]:
    """The most frequent first; of more than ``MOST_LETTERS`` only so many are counted."""
    return [Letters(*row) for row in connection.execute(_LETTERS, (MOST_LETTERS,))]


def _window(market_time: int) -> dict[str, object]:
    today = day_of(market_time)
    yesterday = today - timedelta(days=DAYS - 1)
    begins = moment(market_time).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "now": moment(market_time),
        "today": today,
        "yesterday": yesterday,
        "from": begins - timedelta(days=DAYS - 1),
        "until": begins + timedelta(days=1),
        "minute": moment(market_time) - timedelta(seconds=MINUTE_SECONDS),
    }
