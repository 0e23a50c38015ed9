"""The queries behind ``status``: bounded, cheap enough to be asked every second."""

from __future__ import annotations

import msgspec
import psycopg

from trade_platform.adapters.database.recorded_holes import HOLES


class HeldTrades(msgspec.Struct, frozen=True, kw_only=True):
    """What coverage says of one instrument's trades; no scan of the trades themselves."""

    exchange: str
    symbol: str
    channel: str
    held: int
    """Sequence numbers held."""
    holes: int
    """Runs of numbers missing inside what is held, across midnights too; not where a backfill ends."""
    missing: int
    """Numbers missing in those holes."""
    newest: int | None = None
    """When the newest of all that is recorded of it was received: market time, microseconds UTC."""


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


_HELD = f"""
with {HOLES}, spans as (
    select instrument_id, channel, sum(high - low) as held, max(day) as newest_day
    from ranges group by 1, 2
)
select exchange, symbol, channel, held::bigint as held, coalesce(missing, 0), coalesce(holes, 0),
       (extract(epoch from greatest(traded.at, heard.at)) * 1000000)::bigint as newest
from spans join instrument using (instrument_id) left join missed using (instrument_id, channel)
left join lateral (
    select receive_time as at from trade
    where trade.instrument_id = spans.instrument_id
      and event_time >= newest_day::timestamp at time zone 'UTC'
      and event_time < (newest_day + 1)::timestamp at time zone 'UTC'
    order by event_time desc, sequence desc limit 1
) traded on true
left join lateral (
    select max(upper(t.held)) as at from time_coverage t
    where t.instrument_id = spans.instrument_id and t.day >= newest_day
) heard on true
order by 1, 2, 3
"""  # noqa: S608 - a constant of our own
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
select count(*) filter (where state = 'open'), count(*) filter (where state = 'repaired'),
       count(*) filter (where state = 'unrepairable'),
       count(*) filter (where state = 'unrepairable' and channel in ('trade', 'aggregate_trade')),
       (select count(*) from dead_letter)
from gap
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
            exchange=exchange,
            symbol=symbol,
            channel=channel,
            held=held,
            missing=missing,
            holes=int(holes),
            newest=newest,
        )
        for exchange, symbol, channel, held, missing, holes, newest in connection.execute(_HELD)
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


class GapCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Of all gaps ever noted, how many stand where."""

    open: int = 0
    repaired: int = 0
    unrepairable: int = 0
    of_trades: int = 0
    """Of the unrepairable ones: trades, which somebody might have served again."""

    @property
    def noted(self) -> int:
        return self.open + self.repaired + self.unrepairable


def gap_and_dead_letter_counts(connection: psycopg.Connection) -> tuple[GapCounts, int]:
    """(the ledger of gaps in numbers, records that could not be stored)."""
    row = connection.execute(_COUNTS).fetchone() or (0,) * 5
    return GapCounts(open=row[0], repaired=row[1], unrepairable=row[2], of_trades=row[3]), row[4]
