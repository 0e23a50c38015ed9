"""Candles of a day as they are stored, field by field, and which of them wait to be made anew."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import span_of
from trade_platform.adapters.database.times import microseconds_of

_CANDLES: Final = """
SELECT open_time, source, open, high, low, close, volume, quote_volume, trades, taker_buy_volume,
       taker_buy_quote_volume, first_id, last_id, complete, blocks_only
FROM candle
WHERE instrument_id = %(instrument)s AND interval = %(interval)s
  AND open_time >= %(start)s AND open_time < %(end)s
ORDER BY open_time, source
"""
_WAITING: Final = """
SELECT DISTINCT open_time FROM rollup_due
WHERE instrument_id = %(instrument)s AND open_time >= %(start)s AND open_time < %(end)s
"""


class Stored(msgspec.Struct, frozen=True):
    """One row of the table; ``open_time`` in microseconds UTC."""

    open_time: int
    source: str
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    trades: int | None
    taker_buy_volume: Decimal | None
    taker_buy_quote_volume: Decimal | None
    first_id: int | None
    last_id: int | None
    complete: bool
    blocks_only: bool

    @property
    def priced(self) -> bool:
        """Trades of its own gave the prices."""
        if self.blocks_only:
            return False
        return self.volume > 0 if self.trades is None else self.trades > 0


def load_candles(connection: Connection, instrument_id: int, day: date, interval: str) -> list[Stored]:
    """Of both sources, by time."""
    parameters = {**span_of(instrument_id, day), "interval": interval}
    return [
        Stored(microseconds_of(open_time), *rest)
        for open_time, *rest in connection.execute(_CANDLES, parameters)
    ]


def load_waiting(connection: Connection, instrument_id: int, day: date) -> set[int]:
    """Openings of candles that changed since the wider ones around them were made."""
    rows = connection.execute(_WAITING, span_of(instrument_id, day))
    return {microseconds_of(open_time) for (open_time,) in rows}
