from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis

from tests.processors.feeding import NOON, Feeder, number, trade
from tests.processors.feeding import entry as batch
from trade_platform.adapters.bus import latest_key
from trade_platform.adapters.database.connection import connect
from trade_platform.adapters.database.overview import GapCounts
from trade_platform.adapters.process import RunFile
from trade_platform.domain.model import MICROSECONDS
from trade_platform.operations.status import read_status, read_streams


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def bus(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as bus:
        yield bus


def entry(bus: redis.Redis, stream: str, entry_id: str) -> None:
    bus.xadd(stream, {"v": 1}, id=entry_id)


def position(connection: psycopg.Connection, stream: str, entry_id: str) -> None:
    connection.execute("insert into stream_position (stream, entry_id) values (%s, %s)", (stream, entry_id))


def test_a_stream_is_stored_when_its_newest_entry_is(
    connection: psycopg.Connection, bus: redis.Redis
) -> None:
    entry(bus, "market:deribit", "1000-0")
    entry(bus, "market:deribit", "3500-1")
    position(connection, "market:deribit", "1000-0")
    (stream,) = read_streams(connection, bus)
    assert (stream.length, stream.behind_seconds, stream.stored) == (2, 2.5, False)
    connection.execute("update stream_position set entry_id = '3500-1'")
    (stream,) = read_streams(connection, bus)
    assert (stream.behind_seconds, stream.stored) == (0.0, True)


def test_ids_are_compared_as_numbers(connection: psycopg.Connection, bus: redis.Redis) -> None:
    entry(bus, "market:deribit", "1000-10")
    position(connection, "market:deribit", "1000-9")
    (stream,) = read_streams(connection, bus)
    assert not stream.stored


def test_a_stream_that_nobody_ever_stored_is_all_behind(
    connection: psycopg.Connection, bus: redis.Redis
) -> None:
    entry(bus, "state", "1000-0")
    (stream,) = read_streams(connection, bus)
    assert (stream.stream, stream.stored) == ("state", False)


def test_held_and_missing_come_from_coverage_across_days(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    """Day one holds 1–4, day two 8–9: five held on neither day are missing in one hole across midnight."""
    connection.execute("insert into instrument (exchange, symbol, kind) values ('deribit', 'X', 'spot')")
    for day, held in (("2023-11-14", "{[1,5)}"), ("2023-11-15", "{[8,10)}")):
        connection.execute(
            """insert into coverage (instrument_id, channel, day, held)
               select instrument_id, 'trade', %s, %s from instrument""",
            (day, held),
        )
    bus.hset(latest_key("deribit", "X"), "candle", msgspec.json.encode({"close": "101.5"}))
    (one,) = read_status(connection, bus, tmp_path).instruments
    assert (one.trades.held, one.trades.missing, one.trades.holes) == (6, 3, 1)
    assert one.last_price == "101.5"


def test_an_instrument_without_a_fresh_price_shows_none(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    connection.execute("insert into instrument (exchange, symbol, kind) values ('deribit', 'X', 'spot')")
    connection.execute(
        """insert into coverage (instrument_id, channel, day, held)
           select instrument_id, 'trade', '2023-11-14', '{[1,2)}' from instrument"""
    )
    (one,) = read_status(connection, bus, tmp_path).instruments
    assert (one.last_price, one.trades.missing, one.trades.holes) == ("", 0, 0)
    bus.hset(latest_key("deribit", "X"), "last_price", "99")
    (one,) = read_status(connection, bus, tmp_path).instruments
    assert one.last_price == "99"


def test_a_process_that_does_not_answer_is_unhealthy(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    with RunFile(tmp_path, "streamer-deribit", metrics="http://127.0.0.1:9"):
        status = read_status(connection, bus, tmp_path)
    (process,) = status.processes
    assert (process.name, process.pid, process.healthy) == ("streamer-deribit", os.getpid(), False)
    assert not status.good


def test_a_dead_letter_makes_the_status_bad(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    assert read_status(connection, bus, tmp_path).good
    columns = connection.execute(
        """select column_name, data_type from information_schema.columns
           where table_name = 'dead_letter' and is_nullable = 'NO' and column_default is null
             and is_identity = 'NO'"""
    ).fetchall()
    samples = {
        "text": "x",
        "bytea": b"x",
        "integer": 0,
        "bigint": 0,
        "timestamp with time zone": "2023-11-14",
    }
    names = ", ".join(name for name, _ in columns)
    marks = ", ".join("%s" for _ in columns)
    connection.execute(
        f"insert into dead_letter ({names}) values ({marks})", [samples[kind] for _, kind in columns]
    )
    status = read_status(connection, bus, tmp_path)
    assert status.dead_letters == 1
    assert not status.good


def test_only_the_last_word_of_an_exchange_counts(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    for minute, word in ((1, "maintenance"), (2, "open")):
        connection.execute(
            """insert into exchange_state (exchange, status, scope, reason, event_time, receive_time)
               values ('deribit', %s, '', 'platform_state',
                       make_timestamptz(2023, 11, 14, 9, %s, 0), now())""",
            (word, minute),
        )
    (state,) = read_status(connection, bus, tmp_path).states
    assert state.status == "open"


def test_gaps_are_told_by_where_they_stand(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    for state, channel in (
        ("open", "trade"),
        ("repaired", "trade"),
        ("unrepairable", "trade"),
        ("unrepairable", "mark"),
    ):
        connection.execute(
            """insert into gap (exchange, channel, reason, since, state, closed_at)
               values ('deribit', %s, 'disconnect', now(), %s, case when %s <> 'open' then now() end)""",
            (channel, state, state),
        )
    status = read_status(connection, bus, tmp_path)
    assert status.gaps == 4
    assert status.ledger == GapCounts(open=1, repaired=1, unrepairable=2, of_trades=1)


def test_an_instrument_s_age_is_that_of_its_newest_trade_or_of_what_was_listened_to(
    connection: psycopg.Connection, bus: redis.Redis, tmp_path: Path
) -> None:
    """The newest of all tells the time of a market that has its own."""
    with connect(connection.info.dsn, name="test") as writer:
        feeder = Feeder(writer)
        feeder.apply(batch([trade(1, NOON), trade(1, NOON, symbol="ETHUSDT")]))
        feeder.apply(batch([number(NOON + 90 * MICROSECONDS)], 2))
    told = {one.trades.symbol: one.age_seconds for one in read_status(connection, bus, tmp_path).instruments}
    assert told["BTCUSDT"] == 0.0
    assert told["ETHUSDT"] == pytest.approx(90, abs=0.01)
    later = read_status(connection, bus, tmp_path, NOON + 100 * MICROSECONDS)
    assert {round(one.age_seconds or 0) for one in later.instruments} == {10, 100}
