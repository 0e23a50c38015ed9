"""Rows as CSV, piece by piece."""

from __future__ import annotations

import csv
import io

from tests.processors.feeding import NOON, kline, trade
from tests.recorded import every, record
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.history import (
    TRADE,
    Column,
    candle_spans,
    candles_query,
    find_instruments,
    listed_symbols,
    newest_trade,
    pieces,
    trades_query,
)
from trade_platform.adapters.database.schema import metadata
from trade_platform.adapters.database.times import moment
from trade_platform.domain.model import MINUTE


def test_pieces_are_whole_lines_and_together_all_of_them(connection: Connection) -> None:
    record(connection, every(1, NOON, NOON + 100_000_000))
    query = trades_query(1, moment(NOON), moment(NOON + MINUTE * 60))
    found = list(pieces(connection, query, size=1000))
    assert len(found) > 5
    assert all(piece.endswith(b"\n") for piece in found)
    rows = list(csv.reader(io.StringIO(b"".join(found).decode())))
    assert [int(row[1]) for row in rows] == list(range(1, 101))
    assert all(len(row) == len(TRADE) for row in rows)


def test_what_is_read_is_one_snapshot(connection: Connection, postgres_url: str) -> None:
    """Whatever is stored while a reader is half-way."""
    record(connection, every(1, NOON, NOON + 50_000_000))
    query = trades_query(1, moment(NOON), moment(NOON + MINUTE * 60))
    reading = pieces(connection, query, size=100)
    first = next(reading)
    from trade_platform.adapters.database.connection import connect

    with connect(postgres_url, name="other") as other:
        record(other, every(1, NOON + 50_000_000, NOON + 60_000_000, first=51))
    assert (first + b"".join(reading)).count(b"\n") == 50


def test_a_reader_who_stops_early_leaves_the_connection_usable(connection: Connection) -> None:
    record(connection, every(1, NOON, NOON + 50_000_000))
    query = trades_query(1, moment(NOON), moment(NOON + MINUTE * 60))
    reading = pieces(connection, query, size=100)
    next(reading)
    reading.close()
    assert connection.execute("SELECT count(*) FROM trade").fetchone() == (50,)


def test_columns_are_the_tables_own() -> None:
    def named(table: str) -> set[str]:
        return {column.name for column in metadata.tables[table].columns}

    def those(columns: tuple[Column, ...]) -> set[str]:
        return {column.name for column in columns}

    query = candles_query(1, "1m", moment(0), moment(1), source=None, complete_only=False, last=None)
    assert named("trade") - those(TRADE) == {"instrument_id"}
    assert those(query.columns) < named("candle")
    nullable = {column.name for column in metadata.tables["candle"].columns if column.nullable}
    assert {column.name for column in query.columns if column.optional} == nullable & those(query.columns)


def test_what_there_is_can_be_asked_without_reading_it(connection: Connection) -> None:
    assert candle_spans(connection, 1) == []
    assert newest_trade(connection, 1) is None
    record(connection, [trade(1), trade(2, NOON + MINUTE)])
    record(connection, [kline(NOON)])
    record(connection, [trade(3, NOON + 2 * MINUTE)])
    spans = {span.source: (span.interval, span.count, span.first) for span in candle_spans(connection, 1)}
    assert spans == {"trade": ("1m", 3, moment(NOON)), "exchange": ("1m", 1, moment(NOON))}
    assert newest_trade(connection, 1) == moment(NOON + 2 * MINUTE)
    assert [one.exchange for one in find_instruments(connection, "BTCUSDT", None)] == ["binance_spot"]
    assert find_instruments(connection, "BTCUSDT", "deribit") == []
    assert listed_symbols(connection, None) == {"BTCUSDT": ["binance_spot"]}
