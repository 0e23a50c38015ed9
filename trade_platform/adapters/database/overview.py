"""The queries behind ``status``: bounded, cheap enough to be asked every second."""

from __future__ import annotations

import msgspec
import psycopg


class HeldTrades(msgspec.Struct, frozen=True, kw_only=True):
    """What coverage says of one instrument's trades; no scan of the trades themselves."""

    exchange: str
    symbol: str
    channel: str
    held: int
    """Sequence numbers held."""
    holes: int
    """Runs of numbers missing between the first and the last held, day by day."""
    missing: int
    """Numbers missing in those holes."""


class StreamPosition(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    entry_id: str


class StateOfExchange(msgspec.Struct, frozen=True, kw_only=True):
    exchange: str
    status: str
    scope: str
    reason: str
    event_time: int
    """Microseconds UTC."""


# A hole across midnight shows as the difference between one day's last and the next day's first number.
_HELD = """
with spans as (
    select instrument_id, channel, count(*) as ranges, sum(upper(r) - lower(r)) as held,
           min(lower(r)) as first, max(upper(r)) as last
    from coverage, unnest(held) as r group by 1, 2
)
select exchange, symbol, channel, held::bigint as held,
       greatest((last - first - held)::bigint, 0) as missing,
       case when last - first > held then greatest(ranges - 1, 1) else 0 end as holes
from spans join instrument using (instrument_id) order by 1, 2, 3
"""
_POSITIONS = "select stream, entry_id from stream_position order by stream"
_STATES = """
select distinct on (exchange, scope) exchange, status, scope, reason,
       (extract(epoch from event_time) * 1000000)::bigint as event_time
from exchange_state order by exchange, scope, event_time desc
"""
_CANDLES = """
select count(*) filter (where source = 'trade' and complete), count(*) filter (where source = 'exchange')
from candle where interval = '1m'
"""
_COUNTS = """
select (select count(*) from gap), (select count(*) from dead_letter)
"""


# Counters that PostgreSQL keeps anyway: exact enough to see that numbers flow, and free.
_NUMBERS = """
select coalesce(sum(n_tup_ins - n_tup_del), 0)::bigint from pg_stat_user_tables
where relname like 'number\\_%'
"""


def number_count(connection: psycopg.Connection) -> int:
    """Quotes, tickers, marks and the like since the database's statistics began; about a second late."""
    row = connection.execute(_NUMBERS).fetchone()
    return row[0] if row else 0


def held_trades(connection: psycopg.Connection) -> list[HeldTrades]:
    """One line an instrument and trade channel."""
    return [
        HeldTrades(
            exchange=exchange, symbol=symbol, channel=channel, held=held, missing=missing, holes=int(holes)
        )
        for exchange, symbol, channel, held, missing, holes in connection.execute(_HELD)
    ]


def stream_positions(connection: psycopg.Connection) -> list[StreamPosition]:
    """How far each stream is stored."""
    return [StreamPosition(stream=stream, entry_id=entry) for stream, entry in connection.execute(_POSITIONS)]


def exchange_states(connection: psycopg.Connection) -> list[StateOfExchange]:
    """The last word of each exchange, and of each scope that it named."""
    return [
        StateOfExchange(exchange=exchange, status=status, scope=scope, reason=reason, event_time=event_time)
        for exchange, status, scope, reason, event_time in connection.execute(_STATES)
    ]


def candle_counts(connection: psycopg.Connection) -> tuple[int, int]:
    """(complete minutes made from our trades, closed minutes as the exchanges report them)."""
    row = connection.execute(_CANDLES).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def gap_and_dead_letter_counts(connection: psycopg.Connection) -> tuple[int, int]:
    """(gaps ever noted, records that could not be stored)."""
    row = connection.execute(_COUNTS).fetchone()
    return (row[0], row[1]) if row else (0, 0)
