"""Trades and candles as a user reads them: PostgreSQL writes CSV, and hands it on piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from trade_platform.adapters.database.connection import Connection

PIECE: Final = 8 << 20
"""Bytes of whole lines that are handed on at a time."""


class Kind(StrEnum):
    """What a column holds."""

    TIME = "time"
    DECIMAL = "decimal"
    INTEGER = "integer"
    TRUTH = "truth"
    CHOICE = "choice"
    """One of a few words."""
    TEXT = "text"


class Column(msgspec.Struct, frozen=True):
    """One column of the CSV; its name is the table's."""

    name: str
    kind: Kind
    optional: bool = False
    """May be null."""


class Query(msgspec.Struct, frozen=True):
    """What is copied, with the values that it is about."""

    statement: str
    columns: tuple[Column, ...]
    values: Mapping[str, Any]


class Known(msgspec.Struct, frozen=True):
    """An instrument as the list has it."""

    instrument_id: int
    exchange: str
    symbol: str
    base: str
    quote: str


TRADE: Final = (
    Column("event_time", Kind.TIME),
    Column("sequence", Kind.INTEGER),
    Column("price", Kind.DECIMAL),
    Column("quantity", Kind.DECIMAL),
    Column("side", Kind.CHOICE),
    Column("first_id", Kind.INTEGER),
    Column("last_id", Kind.INTEGER),
    Column("flags", Kind.INTEGER),
    Column("trade_id", Kind.TEXT, optional=True),
    Column("mark_price", Kind.DECIMAL, optional=True),
    Column("index_price", Kind.DECIMAL, optional=True),
    Column("iv", Kind.DECIMAL, optional=True),
    Column("receive_time", Kind.TIME),
)
CANDLE: Final = (
    Column("open_time", Kind.TIME),
    *(Column(name, Kind.DECIMAL, optional=True) for name in ("open", "high", "low", "close")),
    Column("volume", Kind.DECIMAL),
    Column("quote_volume", Kind.DECIMAL),
    Column("trades", Kind.INTEGER, optional=True),
    Column("taker_buy_volume", Kind.DECIMAL, optional=True),
    Column("taker_buy_quote_volume", Kind.DECIMAL, optional=True),
    Column("first_id", Kind.INTEGER, optional=True),
    Column("last_id", Kind.INTEGER, optional=True),
    Column("complete", Kind.TRUTH),
    Column("source", Kind.CHOICE),
)


def _names(columns: tuple[Column, ...]) -> str:
    return ", ".join(column.name for column in columns)


_TRADES: Final = f"""
COPY (SELECT {_names(TRADE)} FROM trade
      WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
      ORDER BY event_time, sequence) TO STDOUT (FORMAT csv)
"""  # noqa: S608 - names of our own, here and below
# Of one bucket our own row comes before the exchange's: 'trade' is the greater word.
_CHOSEN: Final = f"""
SELECT DISTINCT ON (open_time) {_names(CANDLE)} FROM candle
WHERE instrument_id = %(instrument)s AND interval = %(interval)s
  AND open_time >= %(start)s AND open_time < %(end)s
  AND (%(source)s::text IS NULL OR source = %(source)s) AND (complete OR NOT %(complete_only)s)
"""  # noqa: S608
_CANDLES: Final = f"COPY ({_CHOSEN} ORDER BY open_time, source DESC) TO STDOUT (FORMAT csv)"
_NEWEST: Final = f"""
COPY (SELECT * FROM ({_CHOSEN} ORDER BY open_time DESC, source DESC LIMIT %(last)s) AS newest
      ORDER BY open_time) TO STDOUT (FORMAT csv)
"""  # noqa: S608
_FIND: Final = """
SELECT instrument_id, exchange, symbol, base, quote FROM instrument
WHERE symbol = %(symbol)s AND (%(exchange)s::text IS NULL OR exchange = %(exchange)s) ORDER BY exchange
"""
_LISTED: Final = """
SELECT symbol, array_agg(exchange ORDER BY exchange) FROM instrument
WHERE %(exchange)s::text IS NULL OR exchange = %(exchange)s GROUP BY symbol ORDER BY symbol
"""
_NEWEST_TRADE: Final = """
SELECT (SELECT max(event_time) FROM trade
        WHERE instrument_id = c.instrument_id AND event_time >= c.day::timestamp AT TIME ZONE 'UTC'
          AND event_time < (c.day + 1)::timestamp AT TIME ZONE 'UTC')
FROM coverage c WHERE c.instrument_id = %s AND NOT isempty(c.held) ORDER BY c.day DESC LIMIT 1
"""
_SPANS: Final = """
SELECT interval, source, count(*), min(open_time), max(open_time) FROM candle
WHERE instrument_id = %s GROUP BY interval, source ORDER BY min(open_time), count(*) DESC
"""
_ISO: Final = "SELECT set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)"


class Span(msgspec.Struct, frozen=True):
    """Which candles of an instrument there are."""

    interval: str
    source: str
    count: int
    first: datetime
    last: datetime


def find_instruments(connection: Connection, symbol: str, exchange: str | None) -> list[Known]:
    """Those of exactly this symbol; without an exchange, on any."""
    rows = connection.execute(_FIND, {"symbol": symbol, "exchange": exchange})
    return [Known(*row) for row in rows]


def listed_symbols(connection: Connection, exchange: str | None) -> dict[str, list[str]]:
    """Symbol → the exchanges that list it."""
    return dict(connection.execute(_LISTED, {"exchange": exchange}).fetchall())


def newest_trade(connection: Connection, instrument_id: int) -> datetime | None:
    """When the newest trade that is held was made."""
    row = connection.execute(_NEWEST_TRADE, (instrument_id,)).fetchone()
    return row[0] if row else None


def candle_spans(connection: Connection, instrument_id: int) -> list[Span]:
    """What there is, by interval and source."""
    return [Span(*row) for row in connection.execute(_SPANS, (instrument_id,))]


def trades_query(instrument_id: int, start: datetime, end: datetime) -> Query:
    """All trades made in [start, end), by (event_time, sequence)."""
    return Query(_TRADES, TRADE, {"instrument": instrument_id, "start": start, "end": end})


def candles_query(
    instrument_id: int,
    interval: str,
    start: datetime,
    end: datetime,
    *,
    source: str | None,
    complete_only: bool,
    last: int | None,
) -> Query:
    """One candle a bucket that opens in [start, end), ours where there is one, else the exchange's; of
    these the ``last`` ones.
    """
    values = {
        "instrument": instrument_id,
        "interval": interval,
        "start": start,
        "end": end,
        "source": source,
        "complete_only": complete_only,
    }
    if last is None:
        return Query(_CANDLES, CANDLE, values)
    return Query(_NEWEST, CANDLE, values | {"last": last})


def pieces(connection: Connection, query: Query, size: int = PIECE) -> Iterator[bytes]:
    """The rows as CSV, in pieces of whole lines of about ``size`` bytes; all of one snapshot."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_ISO)
        waiting, length = [], 0
        with cursor.copy(query.statement, query.values) as copy:
            for line in copy:
                waiting.append(line)
                length += len(line)
                if length >= size:
                    yield b"".join(waiting)
                    waiting, length = [], 0
        if waiting:
            yield b"".join(waiting)
