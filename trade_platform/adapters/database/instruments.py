"""Instruments: looked up by (exchange, symbol), made when unknown, updated when the list differs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import optional_moment
from trade_platform.domain.model import Instrument, QuantityUnit

_LOAD: Final = """
SELECT symbol, instrument_id, quantity_unit FROM instrument
WHERE exchange = %s AND symbol = ANY(%s)
"""
# Only what is absent draws an identity: ON CONFLICT would burn one for every row that exists.
_ADD: Final = """
INSERT INTO instrument (exchange, symbol)
SELECT %(exchange)s, symbol FROM unnest(%(symbols)s::text[]) AS symbol
WHERE NOT EXISTS (SELECT FROM instrument i WHERE i.exchange = %(exchange)s AND i.symbol = symbol.symbol)
ORDER BY symbol
ON CONFLICT (exchange, symbol) DO NOTHING
"""
_COLUMNS: Final = (
    *("kind", "status", "base", "quote", "settlement", "quantity_unit", "tick_size", "quantity_step"),
    *("contract_size", "expiry", "strike", "option_type", "index_name"),
)
_TYPES: Final = ("text",) * 6 + ("numeric",) * 3 + ("timestamptz", "numeric", "text", "text")
_NEW: Final = ", ".join(f"n.{name}" for name in _COLUMNS)
_OLD: Final = ", ".join(f"i.{name}" for name in _COLUMNS)
_UPDATE: Final = f"""
WITH listed AS (
    SELECT * FROM unnest(%s::text[], {", ".join(f"%s::{kind}[]" for kind in _TYPES)})
             AS n(symbol, {", ".join(_COLUMNS)})
), before AS MATERIALIZED (
    SELECT i.instrument_id, i.symbol, i.quantity_unit FROM instrument i JOIN listed n ON n.symbol = i.symbol
    WHERE i.exchange = %s ORDER BY i.instrument_id FOR UPDATE OF i
)
UPDATE instrument i SET ({", ".join(_COLUMNS)}, updated_at) = ({_NEW}, now())
FROM listed n JOIN before b USING (symbol)
WHERE i.instrument_id = b.instrument_id AND ({_OLD}) IS DISTINCT FROM ({_NEW})
RETURNING i.instrument_id, i.quantity_unit <> b.quantity_unit
"""  # noqa: S608 - names of our own


MOST_KNOWN: Final = 100_000


class Listed(msgspec.Struct, frozen=True):
    """What a writer needs to know of an instrument."""

    instrument_id: int
    unit: QuantityUnit


class Directory:
    """(exchange, symbol) → Listed, asked of the database once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Listed]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def resolve(self, connection: Connection, exchange: str, symbols: Collection[str]) -> dict[str, Listed]:
        """Each symbol's instrument; unknown ones get a minimal row."""
        if len(self) > MOST_KNOWN:
            self._known.clear()
        known = self._known.setdefault(exchange, {})
        unknown = sorted(symbol for symbol in set(symbols) if symbol not in known)
        if unknown:
            connection.execute(_ADD, {"exchange": exchange, "symbols": unknown})
            for symbol, instrument_id, unit in connection.execute(_LOAD, (exchange, unknown)):
                known[symbol] = Listed(instrument_id, QuantityUnit(unit))
        return known

    def forget(self, exchange: str) -> None:
        """Ask again: the rows changed."""
        self._known.pop(exchange, None)


def store_instruments(
    connection: Connection, directory: Directory, exchange: str, instruments: Iterable[Instrument]
) -> set[int]:
    """Insert or update; returns those whose quantity unit changed: their candles are to be made anew."""
    newest = {instrument.symbol: instrument for instrument in instruments}
    listed = [newest[symbol] for symbol in sorted(newest)]
    directory.resolve(connection, exchange, newest)
    columns = [
        [i.symbol for i in listed],
        [str(i.kind) for i in listed],
        [i.status for i in listed],
        [i.base for i in listed],
        [i.quote for i in listed],
        [i.settlement for i in listed],
        [str(i.quantity_unit) for i in listed],
        [i.tick_size for i in listed],
        [i.quantity_step for i in listed],
        [i.contract_size for i in listed],
        [optional_moment(i.expiry) for i in listed],
        [i.strike for i in listed],
        [i.option_type for i in listed],
        [i.index for i in listed],
    ]
    changed = connection.execute(_UPDATE, (*columns, exchange)).fetchall()
    directory.forget(exchange)
    return {instrument_id for instrument_id, unit_changed in changed if unit_changed}
