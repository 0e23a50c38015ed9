from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from trade_platform.adapters.database import overview


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            """insert into instrument (exchange, symbol, kind) values
               ('binance_spot', 'BTCUSDT', 'spot'), ('deribit', 'BTC-PERPETUAL', 'perpetual')"""
        )
        yield connection


def cover(connection: psycopg.Connection, exchange: str, day: str, held: str) -> None:
    connection.execute(
        """insert into coverage (instrument_id, channel, day, held)
           select instrument_id, 'trade', %s, %s from instrument where exchange = %s""",
        (day, held, exchange),
    )


def test_holes_are_counted_inside_a_day_and_across_days(connection: psycopg.Connection) -> None:
    cover(connection, "binance_spot", "2023-11-14", "{[1,5),[7,10)}")
    cover(connection, "deribit", "2023-11-14", "{[1,5)}")
    cover(connection, "deribit", "2023-11-15", "{[5,9)}")
    spot, perpetual = overview.held_trades(connection)
    assert (spot.symbol, spot.held, spot.missing, spot.holes) == ("BTCUSDT", 7, 2, 1)
    assert (perpetual.held, perpetual.missing, perpetual.holes) == (8, 0, 0), "days that meet have no hole"


def test_candles_are_counted_by_who_made_them(connection: psycopg.Connection) -> None:
    for source, complete in (("trade", True), ("trade", False), ("exchange", True)):
        connection.execute(
            """insert into candle (instrument_id, interval, open_time, source, volume, quote_volume, complete,
                                   receive_time)
               select min(instrument_id), '1m', '2023-11-14 22:14+00'::timestamptz + %s * interval '1 minute',
                      %s, 0, 0, %s, now() from instrument""",
            (int(complete), source, complete),
        )
    assert overview.candle_counts(connection) == (1, 1)


def test_positions_are_told_by_stream(connection: psycopg.Connection) -> None:
    connection.execute("insert into stream_position (stream, entry_id) values ('state', '7-0')")
    (position,) = overview.stream_positions(connection)
    assert (position.stream, position.entry_id) == ("state", "7-0")
