"""What was recorded, as DataFrames, for programs of your own.

    from trade_platform import read

    candles = read.candles("BTCUSDT", "5m", exchange="binance_spot", start="2026-11-01")
    trades = read.trades("BTC-PERPETUAL", start="2026-11-21 14:00", end="2026-11-21 15:00")

The index is the exchange's time, UTC. Prices and quantities are exact: Arrow decimals
(``decimal256(37, 18)``), with which +, -, ×, ÷, comparisons and sums work as they stand; ``floats=True``
gives float64 where speed matters more than the last digit. Units: docs/semantics.md. A moment is an aware
``datetime``, a ``date`` or text in ISO 8601; days and texts without a zone are UTC. Ranges are [start, end).

The database is the one that ``url`` names (or an open connection), else DATABASE_URL, else the embedded
one of the data folder. What cannot be answered raises ``ReadError``: one sentence that says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, TypeAlias

import psycopg

from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.history import (
    Known,
    Query,
    candles_query,
    find_instruments,
    listed_symbols,
    newest_trade,
    pieces,
    trades_query,
)
from trade_platform.adapters.database.times import microseconds_of, moment
from trade_platform.adapters.frames import TooManyDigits, frame
from trade_platform.operations.completeness import by_partition, completeness
from trade_platform.settings import settings_from
from trade_platform.surroundings import NotHere, database

if TYPE_CHECKING:
    import pandas as pd

Moment: TypeAlias = datetime | date | str

INTERVALS: Final = ("1m", "5m", "15m", "1h", "4h", "1d")
"""Those that are stored."""
SOURCES: Final = ("trade", "exchange")
PART: Final = 8 << 20
"""Bytes of CSV that one part of ``trades_in_parts`` is made of: some 80,000 trades."""
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


class ReadError(Exception):
    """The question cannot be answered; the sentence says why and what to do."""


class UnknownSymbol(ReadError):
    """No exchange that was recorded lists it."""


class AmbiguousSymbol(ReadError):
    """Several exchanges list it."""


def candles(
    symbol: str,
    interval: str = "1m",
    *,
    exchange: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    last: int | None = None,
    source: str | None = None,
    complete_only: bool = False,
    floats: bool = False,
    url: str | Connection | None = None,
) -> pd.DataFrame:
    """One row a bucket that opens in [start, end), ascending; of these the ``last`` ones, or all.

    Columns: open, high, low, close, volume (base currency), quote_volume, trades, taker_buy_volume,
    taker_buy_quote_volume, first_id, last_id, complete, source. ``source`` is "trade" (made from our
    trades) or "exchange" (as the exchange reports it); without it our candle stands where there is one and
    the exchange's elsewhere, and each row says which. ``complete`` is proven, never guessed;
    ``complete_only`` leaves the others out. A bucket without a row was not recorded: nothing is filled in.
    ``frame.attrs`` names exchange, symbol, base, quote and interval. Raises ReadError.
    """
    _check(interval, source)
    with _connected(url) as connection:
        one = known(connection, symbol, exchange)
        query = candles_query(
            *(one.instrument_id, interval, _moment(start, _FIRST), _moment(end, _LAST)),
            source=source,
            complete_only=complete_only,
            last=last,
        )
        return _named(_frame(connection, query, floats=floats), one, interval)


def trades(
    symbol: str,
    *,
    exchange: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    floats: bool = False,
    url: str | Connection | None = None,
) -> pd.DataFrame:
    """Every trade made in [start, end), by (event_time, sequence); without a start: the day before the end,
    without an end: up to the newest.

    Columns: sequence, price, quantity, side (the taker's), first_id, last_id, flags (1 aggregate, 2 block,
    4 and 8 liquidation of maker and taker, 16 combo), trade_id, mark_price, index_price, iv, receive_time.
    Some 220 bytes a trade, and twice that while it is read: for more than memory holds there is
    ``trades_in_parts``. Raises ReadError.
    """
    with _connected(url) as connection:
        one = known(connection, symbol, exchange)
        low, high = _trade_range(connection, one, start, end)
        query = trades_query(one.instrument_id, low, high)
        return _named(_frame(connection, query, floats=floats), one)


def trades_in_parts(
    symbol: str,
    *,
    exchange: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    floats: bool = False,
    url: str | Connection | None = None,
    part: int = PART,
) -> Iterator[pd.DataFrame]:
    """The same trades as ``trades``, in frames of some 80,000 rows: memory does not grow with the range."""
    with _connected(url) as connection:
        one = known(connection, symbol, exchange)
        low, high = _trade_range(connection, one, start, end)
        query = trades_query(one.instrument_id, low, high)
        for piece in pieces(connection, query, part):
            yield _named(frame(query.columns, [piece], floats=floats), one)


def coverage(
    *, hours: int = 24, now: Moment | None = None, url: str | Connection | None = None
) -> pd.DataFrame:
    """How much of each of the last hours is proven, 0 to 1: one row an instrument or family, one column an
    hour, the running one last; NaN where nothing was recorded or can be said yet.

    ``now``: another moment than the market's own clock. Raises ReadError.
    """
    import pandas as pd  # noqa: PLC0415 - whoever reads no frame does not pay for it

    clock = clock_from_text(settings_from().market_clock)
    at = clock.market() if now is None else microseconds_of(_moment(now, _LAST))
    with _connected(url) as connection:
        report = completeness(connection, at, hours=hours)
    parts = by_partition(report, hours)
    names = pd.Index([one.partition for one in parts], name="partition", dtype="str")
    openings = pd.DatetimeIndex([moment(hour) for hour in report.hours], name="hour")
    return pd.DataFrame([one.shares for one in parts], names, openings, dtype="float64")


def known(connection: Connection, symbol: str, exchange: str | None = None) -> Known:
    """The one instrument that is meant. Raises UnknownSymbol, AmbiguousSymbol."""
    found = find_instruments(connection, symbol, exchange)
    if len(found) == 1:
        return found[0]
    if found:
        where = _either([one.exchange for one in found])
        raise AmbiguousSymbol(f"{symbol} is listed by several exchanges: say which one, {where}.")
    raise UnknownSymbol(_unknown(connection, symbol, exchange))


def _unknown(connection: Connection, symbol: str, exchange: str | None) -> str:
    listed = listed_symbols(connection, exchange)
    where = f" on {exchange}" if exchange else ""
    if not listed:
        everywhere = listed_symbols(connection, None)
        if not everywhere:
            return "Nothing is recorded here yet: `trade-platform up` records."
        exchanges = sorted({one for names in everywhere.values() for one in names})
        return f"Nothing is known of the exchange {exchange}: there is {_either(exchanges)}."
    by_upper = {name.upper(): name for name in listed}
    like = symbol.upper()
    matches = [like] if like in by_upper else get_close_matches(like, by_upper, n=3, cutoff=0.7)
    near = [by_upper[name] for name in matches]
    if not near:
        return f"No instrument {symbol} is known{where}; `trade-platform instruments` lists what is recorded."
    names = _either([f"{name} ({', '.join(listed[name])})" for name in near])
    return f"No instrument {symbol} is known{where}: did you mean {names}?"


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _check(interval: str, source: str | None) -> None:
    if interval not in INTERVALS:
        raise ReadError(f"There are no candles of {interval!r}: choose {_either(list(INTERVALS))}.")
    if source is not None and source not in SOURCES:
        raise ReadError(f"There is no source {source!r}: choose {_either(list(SOURCES))}, or neither.")


def _trade_range(
    connection: Connection, one: Known, start: Moment | None, end: Moment | None
) -> tuple[datetime, datetime]:
    if end is None:
        newest = newest_trade(connection, one.instrument_id)
        high = _LAST if newest is None else newest + timedelta(microseconds=1)
    else:
        high = _moment(end, _LAST)
    return (high - _DAY if start is None else _moment(start, _FIRST)), high


def _moment(value: Moment | None, default: datetime) -> datetime:
    """Aware, UTC."""
    if value is None:
        return default
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ReadError(f"{value!r} is no moment: write 2026-11-22 or 2026-11-22T14:30.") from error
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if value.tzinfo is None:
        raise ReadError(f"{value} has no time zone: give an aware datetime (tzinfo=UTC), or text for UTC.")
    return value.astimezone(UTC)


def _frame(connection: Connection, query: Query, *, floats: bool) -> pd.DataFrame:
    try:
        return frame(query.columns, pieces(connection, query), floats=floats)
    except TooManyDigits as error:
        raise ReadError(f"{error} Read it with SQL.") from error


def _named(read: pd.DataFrame, one: Known, interval: str | None = None) -> pd.DataFrame:
    read.attrs = {"exchange": one.exchange, "symbol": one.symbol, "base": one.base, "quote": one.quote}
    if interval:
        read.attrs["interval"] = interval
    return read


@contextmanager
def _connected(url: str | Connection | None) -> Iterator[Connection]:
    """Raises ReadError where no database answers."""
    if isinstance(url, psycopg.Connection):
        yield url
        return
    try:
        if url:
            with connect(url, name="read") as connection:
                yield connection
        else:
            with database(settings_from()) as connection:
                yield connection
    except NotHere as error:
        raise ReadError(str(error)) from error
