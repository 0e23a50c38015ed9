"""The instrument catalogue as the tables have it, and how much each instrument trades."""

from __future__ import annotations

import psycopg

from trade_platform.domain.model import Instrument, InstrumentKind

_INSTRUMENTS = "select symbol, kind, status from instrument where exchange = %s order by symbol"
# Coverage counts without touching the trades; the newest whole day, or the running one when it is the first.
_TRADES_A_DAY = """
with days as (
    select instrument_id, channel, day,
           sum(upper(r) - lower(r)) as held, max(day) over (partition by instrument_id, channel) as newest
    from coverage, unnest(held) as r group by 1, 2, 3
)
select symbol, channel, max(held)::bigint from days join instrument using (instrument_id)
where exchange = %s and day >= newest - 1 group by 1, 2
"""


def known_instruments(connection: psycopg.Connection, exchange: str) -> list[Instrument]:
    """Every instrument that the exchange ever listed while we looked, with what selection needs."""
    return [
        Instrument(symbol=symbol, kind=InstrumentKind(kind), status=status or "")
        for symbol, kind, status in connection.execute(_INSTRUMENTS, (exchange,))
    ]


def trades_a_day(connection: psycopg.Connection, exchange: str) -> dict[tuple[str, str], int]:
    """(symbol, channel) → trades held of the fuller of its two newest days."""
    return {
        (symbol, channel): held for symbol, channel, held in connection.execute(_TRADES_A_DAY, (exchange,))
    }
