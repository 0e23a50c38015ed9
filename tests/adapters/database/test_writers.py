"""Trades, numbers, instruments, events and dead letters, each by its own module."""

from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal

import pytest

from tests.processors.feeding import NOON, number, tables, trade
from trade_platform.adapters.database import numbers as numbers_module
from trade_platform.adapters.database.candles import proven
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.dead_letters import DeadLetter, write_dead_letters
from trade_platform.adapters.database.events import write_exchange_states, write_gaps
from trade_platform.adapters.database.instruments import Directory, store_instruments
from trade_platform.adapters.database.minutes import load_newest, materialise
from trade_platform.adapters.database.numbers import load_metrics, write_numbers
from trade_platform.adapters.database.partitions import ensure_partitions
from trade_platform.adapters.database.schema import PARTITIONED
from trade_platform.adapters.database.trades import write_trades
from trade_platform.domain.model import (
    MINUTE,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Gap,
    GapReason,
    Instrument,
    Metric,
    QuantityUnit,
)

DAY = date(2026, 9, 21)


@pytest.fixture(autouse=True)
def days(connection: Connection) -> None:
    for relation in PARTITIONED:
        ensure_partitions(connection, relation, [DAY])


def test_two_writers_of_the_same_trades_store_them_once(connection: Connection, postgres_url: str) -> None:
    """A processor and a repair: the coverage row lets one in after the other."""
    trades = [trade(n, NOON + n) for n in range(1, 2001)]
    rows: list[int] = []

    def one(part: int) -> None:
        with connect(postgres_url, name="writer") as own:
            for start in range(part * 10, 2000, 50):
                with own.transaction():
                    rows.append(write_trades(own, {1: trades[start : start + 100]}, set()).rows)

    threads = [threading.Thread(target=one, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tables(connection)["trade"]) == sum(rows) == 2000


def test_numbers_are_stored_once_however_many_come(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By either way in: few by one statement, many through the temporary table."""
    metrics = load_metrics(connection)
    batch = {2: [number(NOON + n // 2, value=Decimal(n // 2)) for n in range(20)]}
    assert write_numbers(connection, metrics, batch) == 10
    monkeypatch.setattr(numbers_module, "FEW", 0)
    more = {2: [*batch[2], number(NOON, update=1)], 1: [number(NOON)]}
    for expected in (2, 0):
        with connection.transaction():
            assert write_numbers(connection, metrics, more) == expected
    assert len(tables(connection)["number"]) == 12


def test_every_metric_has_an_id_that_stays(connection: Connection) -> None:
    first = load_metrics(connection)
    assert set(first) == set(Metric)
    connection.execute("DELETE FROM metric WHERE name = 'vega'")
    again = load_metrics(connection)
    assert {name: number for name, number in again.items() if name != "vega"} == {
        name: number for name, number in first.items() if name != "vega"
    }
    assert len(set(again.values())) == len(again)


def test_an_instrument_list_changes_only_what_differs(connection: Connection) -> None:
    directory = Directory()
    listed = [Instrument(symbol=symbol, tick_size=Decimal("0.1")) for symbol in ("A", "B")]
    assert store_instruments(connection, directory, "x", listed) == set()
    moment = "SELECT symbol, updated_at, xmin FROM instrument ORDER BY symbol"
    before = connection.execute(moment).fetchall()
    changed = Instrument(symbol="B", quantity_unit=QuantityUnit.QUOTE, expiry=NOON)
    assert store_instruments(connection, directory, "x", [listed[0], changed]) == {2}
    after = connection.execute(moment).fetchall()
    assert after[0] == before[0]
    assert after[1] != before[1]
    resolved = directory.resolve(connection, "x", ["A", "B", "C"])
    assert [resolved[symbol].instrument_id for symbol in "ABC"] == [1, 2, 3], "no identity was wasted"
    assert resolved["B"].unit is QuantityUnit.QUOTE


def test_several_processes_may_meet_a_symbol_at_once(connection: Connection, postgres_url: str) -> None:
    found: list[int] = []

    def one() -> None:
        with connect(postgres_url, name="one") as own:
            found.append(Directory().resolve(own, "x", ["NEW"])["NEW"].instrument_id)

    threads = [threading.Thread(target=one) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert len(set(found)) == 1


def test_gaps_without_symbol_or_end_are_one_row_too(connection: Connection) -> None:
    gap = Gap(None, None, GapReason.RESTART, None, None, NOON, None)
    assert write_gaps(connection, "x", [gap, gap]) == 1
    assert write_gaps(connection, "x", [gap]) == 0
    state = ExchangeState(ExchangeStatus.OPEN, "", "status", NOON, NOON)
    assert write_exchange_states(connection, "x", [state, state]) == 1


def test_a_dead_letter_keeps_its_bytes_and_what_text_cannot_hold(connection: Connection) -> None:
    letter = DeadLetter("1-0", 3, "tra\x00de", "x", b"\x00\xff", "a \x00 and \ud800")
    write_dead_letters(connection, "state", [letter, letter])
    row = connection.execute("SELECT position, kind, data, error FROM dead_letter").fetchall()
    assert row == [(3, "tra\\x00de", b"\x00\xff", "a \\x00 and \\ud800")]


def test_minutes_can_be_made_by_whoever_adds_trades(connection: Connection) -> None:
    """A repair or a backfill, without a processor."""
    own = Directory().resolve(connection, "x", ["BTCUSDT"])["BTCUSDT"]
    trades = [trade(n, NOON + n * MINUTE // 3) for n in range(9)]
    with connection.transaction():
        write_trades(connection, {own.instrument_id: trades}, set())
        keys = {(own.instrument_id, NOON + minute * MINUTE) for minute in range(3)}
        unit, channel = {own.instrument_id: own.unit}, {own.instrument_id: Channel.TRADE}
        assert materialise(connection, keys, set(), unit, channel) == 3
    assert proven(connection, keys) == {(own.instrument_id, NOON), (own.instrument_id, NOON + MINUTE)}
    [newest] = load_newest(connection, "x")
    assert (newest.minute, newest.written) == (NOON + 2 * MINUTE, True)
