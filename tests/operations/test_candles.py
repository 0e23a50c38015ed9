"""A day's candles from its trades are those that the processors made; wider ones follow what changed."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operations.day_sessions import (
    AGGREGATE,
    BLOCK,
    LATER,
    MIDNIGHT,
    days_of,
    klines_of,
    places,
    rows,
    sessions,
)
from tests.processors.feeding import Feeder, emptied, entry, kline, trade
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.day_rows import UnknownInstrument
from trade_platform.adapters.database.rollups import Bucket
from trade_platform.adapters.database.times import day_of, microseconds_of, moment
from trade_platform.domain.model import DAY, MINUTE, Instrument, QuantityUnit, Trade
from trade_platform.domain.ohlc import INTERVALS, Bar, bars_of, continuous, rollup
from trade_platform.operations.candles import ROLLED, build_day, refresh, refresh_all, stale_buckets

TODAY = day_of(MIDNIGHT)
HOUR = 60 * MINUTE
FIELDS = (
    *("open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades"),
    *("taker_buy_volume", "taker_buy_quote_volume", "first_id", "last_id"),
)


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    return Feeder(connection)


def fed(connection: Connection, unit: QuantityUnit = QuantityUnit.BASE) -> Feeder:
    feeder = Feeder(emptied(connection))
    feeder.apply(entry([Instrument(symbol="BTCUSDT", quantity_unit=unit)]))
    return feeder


def at(minute: float) -> int:
    return MIDNIGHT + round(minute * MINUTE)


def a_trade_a_minute(count: int, first: int = 0) -> list[Trade]:
    return [trade(minute + 1, at(minute) + 1) for minute in range(first, first + count)]


@given(
    sessions(),
    st.lists(st.integers(0, 40), max_size=6),
    st.sets(st.integers(1, 30), max_size=3),
    st.sampled_from(QuantityUnit),
    st.randoms(),
)
@settings(max_examples=20)
def test_a_built_day_is_what_the_processors_made_of_it(
    two_databases: tuple[str, str],
    trades: list[Trade],
    closing: list[int],
    absent: set[int],
    unit: QuantityUnit,
    chance: random.Random,
) -> None:
    """Row by row, every column: with holes, late trades, blocks, closed klines; in any order of the days."""
    held = [one for one in trades if one.sequence not in absent]
    klines = klines_of(trades, closing)
    order = [*held]
    chance.shuffle(order)
    days = days_of(trades)
    chance.shuffle(days)
    with connect(two_databases[0], name="property") as connection:
        feeder = fed(connection, unit)
        for n, start in enumerate(range(0, len(order), 7), 2):
            feeder.apply(entry(order[start : start + 7], n))
        feeder.close_all()
        for n, one in enumerate(klines, 100):
            feeder.apply(entry([one], n))
        live = rows(connection)
        assert [build_day(connection, 1, day, now=LATER).changed for day in days] == [0] * len(days)
        assert rows(connection) == live
        connection.execute("DELETE FROM candle WHERE source = 'trade'")
        for day in days:
            build_day(connection, 1, day, now=LATER)
        assert rows(connection) == live
        refresh(connection, now=LATER)  # a day's last price may change what the next day was made of
        before = places(connection)
        assert [build_day(connection, 1, day, now=LATER).changed for day in days] == [0] * len(days)
        assert places(connection) == before, "nothing is written twice"


@given(sessions(), st.sampled_from(QuantityUnit), st.booleans())
@settings(max_examples=20)
def test_wider_candles_are_those_that_the_trades_make(
    two_databases: tuple[str, str], trades: list[Trade], unit: QuantityUnit, by_marks: bool
) -> None:
    with connect(two_databases[0], name="property") as connection:
        feeder = fed(connection, unit)
        for n, start in enumerate(range(0, len(trades), 5), 2):
            feeder.apply(entry(trades[start : start + 5], n))
            if by_marks:
                refresh(connection, now=LATER)
        feeder.close_all()
        if by_marks:
            refresh(connection, now=LATER)
        else:
            for day in days_of(trades):
                build_day(connection, 1, day, now=LATER)
        assert stale_buckets(connection, now=LATER) == []
        minutes = {row[0]: row[12] for row in rows(connection)}
        stored = {interval: rows(connection, interval) for interval in ROLLED}
    bars = bars_of(trades, unit)
    whole = list(continuous(bars, bars[0].open_time, bars[-1].open_time + MINUTE))
    for interval, found in stored.items():
        width = INTERVALS[interval]
        assert [(microseconds_of(row[0]), *row[1:12]) for row in found] == [
            tuple(getattr(bar, name) for name in FIELDS) for bar in rollup(whole, width)
        ]
        own = {bar.open_time: bar for bar in rollup(bars, width)}
        for row in found:
            opened = microseconds_of(row[0])
            parts = [minutes.get(moment(minute), False) for minute in range(opened, opened + width, MINUTE)]
            assert row[12] == all(parts), "complete: every minute is there and complete"
            assert row[15] == (row[7] > 0 and not own.get(opened, Bar(open_time=0)).priced)


def test_after_a_late_trade_exactly_its_buckets_are_made_anew(feeder: Feeder, connection: Connection) -> None:
    minutes = a_trade_a_minute(1440 + 60)
    late = trade(10_000, at(723.5), price=Decimal(9))
    feeder.apply(entry(minutes))
    refresh(connection, now=LATER)
    before = places(connection)
    feeder.apply(entry([late], 2))
    buckets = {interval: at(723.5) - at(723.5) % INTERVALS[interval] for interval in ROLLED}
    assert stale_buckets(connection, now=LATER) == [Bucket(1, "5m", buckets["5m"])]
    refreshed = refresh(connection, now=LATER)
    assert refreshed.changed == dict.fromkeys(ROLLED, 1)
    assert not refreshed.more
    after = places(connection)
    assert {key for key in after if after[key] != before[key]} == {
        ("1m", moment(at(723)), "trade"),
        *((interval, moment(opened), "trade") for interval, opened in buckets.items()),
    }
    assert {row[0]: row[2] for row in rows(connection, "4h")}[moment(buckets["4h"])] == Decimal("100.5")
    assert {row[0]: row[3] for row in rows(connection, "4h")}[moment(buckets["4h"])] == Decimal(9)


def test_a_backlog_is_rolled_up_to_its_end(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry(a_trade_a_minute(120)))
    assert refresh(connection, now=LATER, most=7).more
    refreshed = refresh_all(connection, now=LATER, most=7)
    assert refreshed.buckets["5m"] > 7
    assert stale_buckets(connection, now=LATER) == []
    assert len(rows(connection, "5m")) == 24


def test_a_minute_that_is_proven_later_completes_its_buckets(feeder: Feeder, connection: Connection) -> None:
    """Though no trade came to it: only what is known of it changed."""
    minutes = a_trade_a_minute(12)
    feeder.apply(entry([one for one in minutes if one.sequence != 8]))
    refresh(connection, now=LATER)
    assert [row[12] for row in rows(connection, "5m")] == [False, False, False]
    feeder.apply(entry([minutes[7]], 2))
    refresh(connection, now=LATER)
    assert [row[12] for row in rows(connection, "5m")] == [False, True, False]


def test_what_is_running_has_no_row_and_nothing_partial_is_complete(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry(a_trade_a_minute(13)))
    connection.execute("DELETE FROM candle")
    built = build_day(connection, 1, TODAY, now=at(11.9))
    assert (built.minutes, built.complete, built.changed, built.trades) == (11, 10, 11, 13)
    assert [row[0] for row in rows(connection)][-1] == moment(at(10)), "the twelfth is running"
    assert [row[0] for row in rows(connection, "5m")] == [moment(at(0)), moment(at(5))]
    assert [row[12] for row in rows(connection, "5m")] == [False, True], "recording began in the first"
    assert rows(connection, "15m") == []
    build_day(connection, 1, TODAY, now=at(15))
    assert [row[12] for row in rows(connection, "15m")] == [False]


def test_a_running_minute_proves_the_silence_before_it(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0.5)), trade(2, at(4.5))]))
    connection.execute("DELETE FROM candle")
    build_day(connection, 1, TODAY, now=at(4.6))
    assert [(row[7], row[12]) for row in rows(connection)] == [(1, False), (0, True), (0, True), (0, True)]


def test_an_altered_candle_is_made_right_and_so_are_the_wider_ones(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry(a_trade_a_minute(1441)))
    feeder.close_all()
    build_day(connection, 1, TODAY, now=LATER)
    right = {interval: rows(connection, interval) for interval in ("1m", *ROLLED)}
    connection.execute(
        "UPDATE candle SET high = 1000, complete = false WHERE open_time = %s", (moment(at(720)),)
    )
    built = build_day(connection, 1, TODAY, now=LATER)
    assert (built.changed, built.rolled_up) == (1, {"5m": 1, "15m": 1, "1h": 1, "4h": 1, "1d": 0})
    assert {interval: rows(connection, interval) for interval in ("1m", *ROLLED)} == right


def test_a_silence_of_weeks_is_filled_day_by_day(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(1439.5)), trade(2, at(20 * 1440 + 0.5))]))
    filled = [build_day(connection, 1, TODAY + timedelta(days=day), now=LATER) for day in range(21)]
    assert [built.minutes for built in filled[1:20]] == [1440] * 19
    assert all(built.complete == built.minutes for built in filled[1:20])
    assert {row[4] for row in rows(connection, "1d")} == {Decimal("100.5")}


def test_a_day_whose_trades_were_dropped_keeps_its_candles(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry(a_trade_a_minute(1500)))
    build_day(connection, 1, TODAY, now=LATER)
    held = rows(connection)
    connection.execute(f"DROP TABLE trade_{TODAY:%Y%m%d}")
    built = build_day(connection, 1, TODAY, now=LATER)
    assert (built.minutes, built.changed, built.trades) == (1440, 0, 0)
    assert rows(connection) == held


def test_nothing_is_filled_up_to_a_day_whose_trades_were_dropped(
    feeder: Feeder, connection: Connection
) -> None:
    """The first trade after it says nothing of the day before it."""
    feeder.apply(entry([trade(1, at(10)), trade(2, at(1440 + 10)), trade(3, at(2880 + 10))]))
    connection.execute(f"DROP TABLE trade_{TODAY + timedelta(days=1):%Y%m%d}")
    connection.execute("DELETE FROM candle WHERE source = 'trade'")
    build_day(connection, 1, TODAY, now=LATER)
    assert [row[0] for row in rows(connection)] == [moment(at(10))]


def test_the_exchange_s_minutes_are_rolled_up_where_we_have_none(
    feeder: Feeder, connection: Connection
) -> None:
    empty = {"trades": 0, "first_id": None, "last_id": None, "volume": Decimal(0), "quote_volume": Decimal(0)}
    klines = [
        kline(at(0), **empty, open=Decimal(3), high=Decimal(3), low=Decimal(3), close=Decimal(3)),
        *(kline(at(minute)) for minute in range(1, 15)),
    ]
    feeder.apply(entry(klines))
    refresh(connection, now=LATER)
    assert next(row[:3] for row in rows(connection, "5m", "exchange")) == (
        moment(at(0)), Decimal("100.5"), Decimal("100.5"),
    ), "a minute without trades gives no price"  # fmt: skip
    assert [(row[7], row[12]) for row in rows(connection, "15m", "exchange")] == [(14, True)]
    feeder.apply(entry([trade(1, at(7))], 2), entry([trade(2, at(9))], 3))
    refresh(connection, now=LATER)
    assert [(row[0], row[7]) for row in rows(connection, "15m")] == [(moment(at(0)), 1)]
    assert [row[12] for row in rows(connection, "15m")] == [False]


def test_a_bucket_is_made_when_it_is_over_even_if_its_end_has_no_minute(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry(a_trade_a_minute(4)))
    assert stale_buckets(connection, now=at(4.9)) == []
    assert refresh(connection, now=at(4.9)).changed == dict.fromkeys(ROLLED, 0)
    assert refresh(connection, now=at(5)).changed["5m"] == 1
    assert refresh(connection, now=at(15)).changed == {"5m": 0, "15m": 1, "1h": 0, "4h": 0, "1d": 0}
    assert refresh(connection, now=at(1440)).changed == {"5m": 0, "15m": 0, "1h": 1, "4h": 1, "1d": 1}


def test_a_refresh_is_bounded_and_says_that_there_is_more(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry(a_trade_a_minute(40)))
    calls = 1
    while refresh(connection, now=LATER, most=7).more:
        calls += 1
    assert calls >= 39 // 7
    assert stale_buckets(connection, now=LATER) == []
    assert len(rows(connection, "5m")) == 8


def test_a_change_that_is_not_committed_keeps_its_mark(
    feeder: Feeder, connection: Connection, postgres_url: str
) -> None:
    """A refresh between a processor's statements and its commit cannot lose what it did not see."""
    feeder.apply(entry(a_trade_a_minute(10)))
    refresh(connection, now=LATER)
    with connect(postgres_url, name="processor") as processor:
        other = Feeder(processor, first_id=100)
        with processor.transaction():
            other.apply(entry([trade(99, at(2.5), price=Decimal(9))], 2))
            assert refresh(connection, now=LATER).changed == dict.fromkeys(ROLLED, 0)
        assert refresh(connection, now=LATER).changed == dict.fromkeys(ROLLED, 1)


def test_where_both_channels_traded_the_newer_one_counts(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(n, at(0.1 * n), price=Decimal(n)) for n in range(1, 5)]))
    whole = [
        trade(90 + n, at(0.2 * n), price=Decimal(50 + n), first_id=2 * n, last_id=2 * n + 1, flags=AGGREGATE)
        for n in (1, 2, 9)
    ]
    feeder.apply(entry(whole, 2))
    live = rows(connection)
    assert live[0][1:5] == (51, 52, 51, 52)
    assert build_day(connection, 1, TODAY, now=at(1)).changed == 0
    connection.execute("DELETE FROM candle")
    build_day(connection, 1, TODAY, now=at(1))
    assert rows(connection) == live


def test_a_base_volume_is_rounded_once_trade_by_trade(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([Instrument(symbol="BTCUSDT", quantity_unit=QuantityUnit.QUOTE)]))
    trades = [
        trade(1, at(0), price=Decimal(7), quantity=Decimal(10)),
        trade(2, at(0.2), price=Decimal(-7), quantity=Decimal(10)),
        trade(3, at(0.4), price=Decimal(3), quantity=Decimal(20), flags=BLOCK),
    ]
    feeder.apply(entry(trades, 2))
    build_day(connection, 1, TODAY, now=LATER)
    assert rows(connection, "5m")[0][1:7] == (7, 7, -7, -7, Decimal("8.095238095238"), 40)


def test_an_instrument_that_is_not_there_is_said_in_a_sentence(connection: Connection) -> None:
    with pytest.raises(UnknownInstrument, match="no instrument with the number 77"):
        build_day(connection, 77, TODAY, now=LATER)


def test_a_day_without_anything_is_nothing(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0.5))]))
    built = build_day(connection, 1, TODAY - timedelta(days=400), now=LATER)
    assert (built.minutes, built.changed, set(built.rolled_up.values())) == (0, 0, {0})
    assert INTERVALS["1d"] == DAY
