"""What assets cost in USD and what instruments count, from the market's own tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.domain.model import QuantityUnit
from trade_platform.domain.valuation import DOLLARS, Terms, Valuation

_TERMS: Final = """
SELECT symbol, base, quote, settlement, quantity_unit FROM instrument
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s)
"""
# The close of the newest minute, or hour, of whatever trades the asset against dollars; of one exchange that
# lists several, its own comes first.
_PRICES: Final = """
SELECT DISTINCT ON (i.base, t.at) i.base, t.at, c.close
FROM unnest(%(times)s::timestamptz[]) AS t (at)
CROSS JOIN instrument i
CROSS JOIN LATERAL (
    SELECT open_time, close FROM candle
    WHERE instrument_id = i.instrument_id AND interval = ANY('{1m,1h}') AND close IS NOT NULL
      AND open_time < t.at AND open_time >= t.at - interval '2 days'
    ORDER BY open_time DESC LIMIT 1
) c
WHERE i.base = ANY(%(assets)s) AND i.quote = ANY(%(dollars)s) AND i.kind IN ('spot', 'perpetual')
ORDER BY i.base, t.at, (i.exchange = %(exchange)s) DESC, c.open_time DESC, i.kind, i.symbol
"""


def load_valuation(
    connection: Connection, exchange: str, symbols: Iterable[str], assets: Iterable[str], at: int
) -> Valuation:
    """Prices of one moment."""
    terms = load_terms(connection, exchange, symbols)
    wanted = {*assets, *(term.base for term in terms.values()), *(term.quote for term in terms.values())}
    prices = load_prices(connection, exchange, wanted, [at])
    return Valuation(prices={asset: price for (asset, _), price in prices.items()}, terms=terms)


def load_terms(connection: Connection, exchange: str, symbols: Iterable[str]) -> dict[str, Terms]:
    """Of the instruments that are listed."""
    rows = connection.execute(_TERMS, {"exchange": exchange, "symbols": sorted(symbols)})
    return {
        symbol: Terms(base=base, quote=quote, settlement=settlement, inverse=unit == QuantityUnit.QUOTE)
        for symbol, base, quote, settlement, unit in rows
    }


def load_prices(
    connection: Connection, exchange: str, assets: Iterable[str], times: Sequence[int]
) -> dict[tuple[str, int], Decimal]:
    """USD for one, by asset and moment; what nothing trades against dollars is not there."""
    wanted = sorted(set(assets) - DOLLARS - {""})
    if not wanted or not times:
        return {}
    moments: dict[datetime, int] = {moment(at): at for at in times}
    parameters: dict[str, Any] = {
        "exchange": exchange,
        "assets": wanted,
        "dollars": sorted(DOLLARS),
        "times": list(moments),
    }
    return {(base, moments[at]): close for base, at, close in connection.execute(_PRICES, parameters)}
