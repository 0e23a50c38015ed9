from __future__ import annotations

from datetime import date

import pytest

from trade_platform.adapters.database import backfill
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.domain.backfill import Around
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, MINUTE, Channel

DAYS = [date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3)]
START = 20_727 * DAY
"""2026-10-01."""


@pytest.fixture
def one(connection: Connection) -> int:
    row = connection.execute(
        "INSERT INTO instrument (exchange, symbol) VALUES ('binance_spot', 'BTCUSDT') RETURNING instrument_id"
    ).fetchone()
    assert row is not None
    return int(row[0])


def cover(connection: Connection, one: int, *held: str, channel: Channel = Channel.TRADE) -> None:
    for day, ranges in zip(DAYS, held, strict=False):
        connection.execute("INSERT INTO coverage VALUES (%s, %s, %s, %s)", (one, channel.value, day, ranges))


def test_what_is_held_around_a_day(connection: Connection, one: int) -> None:
    cover(connection, one, "{[1,5),[7,10)}", "{[10,20)}", "{[20,21)}")
    cover(connection, one, "{[900,901)}", channel=Channel.AGGREGATE_TRADE)
    assert backfill.around_day(connection, one, Channel.TRADE, DAYS[1]) == Around(
        9, Ranges.between(10, 20), 20
    )
    assert backfill.around_day(connection, one, Channel.TRADE, DAYS[0]).before is None
    assert backfill.around_day(connection, one, Channel.TRADE, date(2026, 11, 1)) == Around(
        20, Ranges(), None
    )


def test_an_empty_row_is_no_neighbour(connection: Connection, one: int) -> None:
    cover(connection, one, "{[1,5)}", "{}", "{[5,6)}")
    assert backfill.around_day(connection, one, Channel.TRADE, DAYS[2]).before == 4
    assert backfill.around_day(connection, one, Channel.TRADE, DAYS[0]).after == 5


def test_what_is_lacking_of_a_span_of_numbers_on_whatever_day(connection: Connection, one: int) -> None:
    cover(connection, one, "{[1,5),[7,10)}", "{[12,20)}")
    assert backfill.lacking(connection, one, Channel.TRADE, 3, 22) == Ranges.from_spans(
        [(5, 7), (10, 12), (20, 22)]
    )
    assert not backfill.lacking(connection, one, Channel.TRADE, 13, 15)
    assert not backfill.lacking(connection, one, Channel.TRADE, 9, 3)


def test_minutes_of_which_the_exchange_s_own_candle_is_lacking(connection: Connection, one: int) -> None:
    for minute, source in ((0, "exchange"), (1, "trade"), (3, "exchange")):
        connection.execute(
            "INSERT INTO candle (instrument_id, interval, open_time, source, volume, quote_volume, trades, "
            "complete, receive_time) VALUES (%s, '1m', to_timestamp(%s), %s, 0, 0, 0, true, now())",
            (one, (START + minute * MINUTE) // 1_000_000, source),
        )
    found = backfill.minutes_without_candle(connection, one, START, START + 4 * MINUTE)
    assert found == [START + minute * MINUTE for minute in (1, 2, 4)]
    assert backfill.minutes_without_candle(connection, one, START, START - MINUTE) == []


def test_a_day_is_built_when_its_own_candle_is_complete(connection: Connection, one: int) -> None:
    assert not backfill.is_built(connection, one, START)
    connection.execute(
        "INSERT INTO candle (instrument_id, interval, open_time, source, volume, quote_volume, trades, "
        "complete, receive_time) VALUES (%s, '1d', %s, 'trade', 0, 0, 0, false, now())",
        (one, DAYS[0]),
    )
    assert not backfill.is_built(connection, one, START)
    connection.execute("UPDATE candle SET complete = true")
    assert backfill.is_built(connection, one, START)
    assert not backfill.is_built(connection, one, START + DAY)


def test_the_sequence_that_was_recorded_last(connection: Connection, one: int) -> None:
    both = [Channel.AGGREGATE_TRADE, Channel.TRADE]
    assert backfill.recorded_channel(connection, one, both) is None
    cover(connection, one, "{[1,5)}", "{}")
    cover(connection, one, "{}", "{[5,6)}", channel=Channel.AGGREGATE_TRADE)
    assert backfill.recorded_channel(connection, one, both) is Channel.AGGREGATE_TRADE
    assert backfill.recorded_channel(connection, one, [Channel.TRADE]) is Channel.TRADE


def test_instruments_by_name_and_those_that_are_recorded(connection: Connection, one: int) -> None:
    connection.execute(
        "INSERT INTO instrument (exchange, symbol) VALUES ('deribit', 'BTCUSDT'), ('deribit', 'X')"
    )
    assert backfill.instruments_named(connection, [], []) == []
    cover(connection, one, "{[1,5)}")
    found = backfill.instruments_named(connection, [], [])
    assert found == [backfill.Named(one, "binance_spot", "BTCUSDT")]
    assert backfill.instruments_named(connection, ["deribit"], []) == []
    named = backfill.instruments_named(connection, [], ["BTCUSDT"])
    assert [each.exchange for each in named] == ["binance_spot", "deribit"]
    assert [each.exchange for each in backfill.instruments_named(connection, ["deribit"], ["BTCUSDT"])] == [
        "deribit"
    ]


def test_one_at_a_time_and_others_see_it(connection: Connection, postgres_url: str) -> None:
    other = connect(postgres_url, name="other")
    assert not backfill.one_runs(connection)
    assert backfill.try_to_begin(connection)
    assert backfill.one_runs(other)
    assert not backfill.try_to_begin(other)
    backfill.end(connection)
    assert not backfill.one_runs(other)
    assert backfill.try_to_begin(other)
    other.close()
