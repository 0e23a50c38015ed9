"""What is held from before a ledger's beginning: no ledger tells of it, so rows are held against coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection


class PastProof(msgspec.Struct, frozen=True, kw_only=True):
    """Trades of one instrument and kind with numbers below the first one of its ledger."""

    symbol: str
    channel: str
    covered: int
    """As many numbers are held, says the coverage that was written with the rows."""
    rows: int


_PAST: Final = """
WITH ledger AS (
    SELECT * FROM unnest(%(symbols)s::text[], %(channels)s::text[], %(firsts)s::bigint[])
               AS ledger(symbol, channel, first)
), listed AS (
    SELECT instrument_id, symbol, channel, coalesce(first, 9223372036854775807) AS first
    FROM instrument CROSS JOIN unnest('{trade,aggregate_trade}'::text[]) AS kind(channel)
    LEFT JOIN ledger USING (symbol, channel)
    WHERE exchange = %(exchange)s
), covered AS (
    SELECT instrument_id, channel, sum(least(upper(held.r), first) - lower(held.r))::bigint AS numbers
    FROM coverage JOIN listed USING (instrument_id, channel), unnest(coverage.held) AS held(r)
    WHERE lower(held.r) < first
    GROUP BY 1, 2
), counted AS (
    SELECT instrument_id, channel, count(*) AS rows
    FROM trade JOIN listed USING (instrument_id)
    WHERE sequence < first AND (trade.flags & 1 = 1) = (channel = 'aggregate_trade')
    GROUP BY 1, 2
)
SELECT symbol, channel, coalesce(numbers, 0), coalesce(rows, 0)
FROM listed LEFT JOIN covered USING (instrument_id, channel) LEFT JOIN counted USING (instrument_id, channel)
WHERE numbers > 0 OR rows > 0
ORDER BY 1, 2
"""


def prove_past(
    connection: Connection, exchange: str, firsts: Mapping[tuple[str, str], int]
) -> list[PastProof]:
    """Of every instrument of an exchange that holds any; one that stands in no ledger has nothing but past.

    ``firsts``: (symbol, channel) → first number of the ledger.
    """
    parameters = {
        "exchange": exchange,
        "symbols": [symbol for symbol, _ in firsts],
        "channels": [channel for _, channel in firsts],
        "firsts": list(firsts.values()),
    }
    return [
        PastProof(symbol=symbol, channel=channel, covered=covered, rows=rows)
        for symbol, channel, covered, rows in connection.execute(_PAST, parameters)
    ]
