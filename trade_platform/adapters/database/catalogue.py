"""The instrument catalogue as the tables have it, and how much each instrument trades."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from trade_platform.domain.model import Instrument, InstrumentKind

_INSTRUMENTS = "select symbol, kind, status from instrument where exchange = %s order by symbol"
# Coverage counts without touching the trades; only the first and the last of a day are looked up, by key.
_TRADES_A_DAY = """
with days as (
    select instrument_id, channel, day, sum(upper(r) - lower(r)) as held,
           row_number() over (partition by instrument_id, channel order by day desc) as age
    from coverage, unnest(held) as r group by 1, 2, 3
),
spans as (
    select days.*, extract(epoch from span.last - span.first) as seconds
    from days, lateral (
        select min(event_time) as first, max(event_time) as last from trade
        where trade.instrument_id = days.instrument_id
          and event_time >= day::timestamp at time zone 'UTC'
          and event_time < (day + 1)::timestamp at time zone 'UTC'
    ) span
    where age <= 2
)
select distinct on (symbol, channel) symbol, channel, (held * 86400 / greatest(seconds, 60))::bigint
from spans join instrument using (instrument_id)
where exchange = %s and seconds is not null order by symbol, channel, seconds desc
"""

_UNKNOWN = """
select symbol from unnest(%(symbols)s::text[]) as wanted (symbol)
where not exists (select from instrument i where i.symbol = wanted.symbol
                  and (%(exchanges)s::text[] = '{}' or i.exchange = any(%(exchanges)s)))
  and not exists (select from gap g where g.symbol = wanted.symbol
                  and (%(exchanges)s::text[] = '{}' or g.exchange = any(%(exchanges)s)))
"""


def known_instruments(connection: psycopg.Connection, exchange: str) -> list[Instrument]:
    """Every instrument that the exchange ever listed while we looked, with what selection needs."""
    return [
        Instrument(symbol=symbol, kind=InstrumentKind(kind), status=status or "")
        for symbol, kind, status in connection.execute(_INSTRUMENTS, (exchange,))
    ]


def unknown_symbols(
    connection: psycopg.Connection, symbols: Sequence[str], exchanges: Sequence[str] = ()
) -> list[str]:
    """Those that neither these exchanges (none: any) ever listed nor the ledger of gaps names."""
    given = {"symbols": list(symbols), "exchanges": list(exchanges)}
    return [symbol for (symbol,) in connection.execute(_UNKNOWN, given)]


def trades_a_day(connection: psycopg.Connection, exchange: str) -> dict[tuple[str, str], int]:
    """(symbol, channel) → trades in 24 hours, from the longer recorded of its two newest days."""
    return {
        (symbol, channel): held for symbol, channel, held in connection.execute(_TRADES_A_DAY, (exchange,))
    }
