"""Instruments by partition: what Dagster, a backfill and a report call by one name."""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.families import exchange_of, partition_of
from trade_platform.domain.model import InstrumentKind

# LIMIT 1 makes each look a single step in an index, however many days and minutes there are.
_RECORDED: Final = """
SELECT i.instrument_id, i.exchange, i.symbol, i.kind, i.base
FROM instrument i
LEFT JOIN LATERAL (
    SELECT true AS held FROM coverage c
    WHERE c.instrument_id = i.instrument_id AND c.channel IN ('trade', 'aggregate_trade') LIMIT 1
) traded ON true
LEFT JOIN LATERAL (
    SELECT true AS held FROM candle c
    WHERE traded.held IS NULL AND c.instrument_id = i.instrument_id AND c.interval = '1m' LIMIT 1
) told ON true
WHERE (traded.held OR told.held) AND (%(exchange)s::text IS NULL OR i.exchange = %(exchange)s)
ORDER BY i.exchange, i.symbol
"""


class Listed(msgspec.Struct, frozen=True):
    """An instrument of which trades or the exchange's own minutes are stored."""

    instrument_id: int
    exchange: str
    symbol: str
    kind: InstrumentKind
    base: str = ""

    @property
    def partition(self) -> str:
        """The key that it is found by."""
        return partition_of(self.exchange, self.symbol, self.kind, self.base)


def recorded_instruments(connection: Connection, exchange: str | None = None) -> list[Listed]:
    """Every instrument that has stored trades or 1-minute candles, by exchange and symbol."""
    return [
        Listed(instrument_id, key, symbol, InstrumentKind(kind), base)
        for instrument_id, key, symbol, kind, base in connection.execute(_RECORDED, {"exchange": exchange})
    ]


def recorded_partitions(connection: Connection) -> list[str]:
    """The partitions that hold data, sorted."""
    return sorted({one.partition for one in recorded_instruments(connection)})


def instruments_in(connection: Connection, partition: str) -> list[Listed]:
    """The recorded instruments of one partition; none where it is not known."""
    found = recorded_instruments(connection, exchange_of(partition))
    return [one for one in found if one.partition == partition]
