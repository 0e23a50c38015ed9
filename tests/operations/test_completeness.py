"""How complete the last days are, from real tables."""

from __future__ import annotations

import pytest

from tests.processors.feeding import kline
from tests.recorded import HOUR_ONE, every, record
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.instruments import Directory, store_instruments
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import (
    DAY,
    MINUTE,
    Channel,
    Gap,
    GapReason,
    Instrument,
    InstrumentKind,
)
from trade_platform.domain.ohlc import HOUR
from trade_platform.operations.completeness import by_partition, completeness

MIDNIGHT = HOUR_ONE // DAY * DAY
"""Of the day of most of these trades."""


def given_up(connection: Connection, text: str) -> None:
    connection.execute("UPDATE gap SET state = 'unrepairable', closed_at = now(), remaining = %s", (text,))


def noted(connection: Connection, first: int, last: int) -> None:
    gap = Gap("BTCUSDT", Channel.TRADE, GapReason.SEQUENCE, first, last, HOUR_ONE, HOUR_ONE)
    assert write_gaps(connection, "binance_spot", [gap]) == 1


def test_nothing_recorded_is_an_empty_report(connection: Connection) -> None:
    report = completeness(connection, HOUR_ONE)
    assert (report.instruments, report.closed_holes, by_partition(report, 24)) == ([], [], [])
    assert len(report.hours) == 168


def test_hours_are_proven_by_numbers_and_judged_by_minutes_where_a_hole_is(connection: Connection) -> None:
    """A trade every ten seconds for four hours; 100 s of the second hour are missing."""
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 4 * HOUR, missing=range(420, 430)))
    (one,) = completeness(connection, HOUR_ONE + 4 * HOUR - 1, hours=6).instruments
    assert one.instrument.symbol == "BTCUSDT"
    assert one.shares[:3] == [None, None, 1.0]
    assert one.shares[3] == pytest.approx(57 / 60), (
        "the minutes of the numbers around it are not proven either"
    )
    assert one.shares[4] == 1.0
    assert (one.missing, one.given_up, one.open_gaps) == (10, 0, 0)


def test_what_was_given_up_is_counted_apart_and_makes_no_hole(connection: Connection) -> None:
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 2 * HOUR, missing=range(420, 430)))
    later = HOUR_ONE + 2 * DAY
    (hole,) = completeness(connection, later).closed_holes
    assert (hole.symbol, hole.day, hole.missing) == ("BTCUSDT", day_of(HOUR_ONE), 10)
    noted(connection, 420, 429)
    report = completeness(connection, later)
    assert (report.open_gaps, report.instruments[0].open_gaps) == (1, 1)
    assert len(report.closed_holes) == 1, "an open gap is no excuse"
    given_up(connection, "{[420,429)}")
    (hole,) = completeness(connection, later).closed_holes
    assert hole.missing == 1
    given_up(connection, "{[420,430)}")
    report = completeness(connection, later)
    assert report.closed_holes == []
    assert (report.instruments[0].missing, report.instruments[0].given_up) == (0, 10)


def test_a_running_day_may_have_holes_and_a_closed_one_may_not(connection: Connection) -> None:
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 600_000_000, missing=[7]))
    assert completeness(connection, HOUR_ONE + HOUR).closed_holes == []
    assert completeness(connection, MIDNIGHT + DAY + 5 * MINUTE).closed_holes == []
    assert len(completeness(connection, MIDNIGHT + DAY + 11 * MINUTE).closed_holes) == 1


def test_a_hole_across_midnight_is_one_of_the_closed_day(connection: Connection) -> None:
    low, high = MIDNIGHT + DAY - 30 * MINUTE, MIDNIGHT + DAY + 30 * MINUTE
    record(connection, every(10, low, high, missing=range(170, 190)))
    holes = completeness(connection, high + HOUR).closed_holes
    assert [(hole.day, hole.missing) for hole in holes] == [(day_of(low), 20)]


def test_the_day_before_the_window_proves_its_first_hour(connection: Connection) -> None:
    record(connection, every(10, MIDNIGHT + DAY - HOUR, MIDNIGHT + DAY + 3 * HOUR))
    (one,) = completeness(connection, MIDNIGHT + DAY + 3 * HOUR - 1, hours=3).instruments
    assert one.shares[:2] == [1.0, 1.0]


def test_a_streamer_that_stopped_is_nothing_for_the_hours_since(connection: Connection) -> None:
    record(connection, every(10, HOUR_ONE, HOUR_ONE + HOUR + HOUR // 2))
    (one,) = completeness(connection, HOUR_ONE + 4 * HOUR, hours=4).instruments
    assert one.shares[0] == pytest.approx(29 / 60)
    assert one.shares[1:3] == [0.0, 0.0]
    assert one.shares[3] is None, "no minute of it is over"


def test_an_instrument_of_candles_alone_is_judged_by_them(connection: Connection) -> None:
    minutes = [kline(HOUR_ONE + n * MINUTE) for n in range(120) if n not in (70, 71)]
    record(connection, minutes)
    report = completeness(connection, HOUR_ONE + 2 * HOUR + 2 * MINUTE, hours=3)
    (one,) = report.instruments
    assert (one.channel, one.missing) == (Channel.CANDLE, 2)
    assert one.shares == [1.0, 58 / 60, None]
    later = HOUR_ONE + 2 * DAY
    assert sum(hole.missing for hole in completeness(connection, later).closed_holes) > 2
    since = HOUR_ONE + 70 * MINUTE
    gap = Gap("BTCUSDT", Channel.CANDLE, GapReason.DISCONNECT, None, None, since, later)
    write_gaps(connection, "binance_spot", [gap])
    connection.execute("UPDATE gap SET state = 'unrepairable', closed_at = now()")
    assert completeness(connection, later).closed_holes == []


def test_a_family_is_one_line_and_the_mean_of_its_members(connection: Connection) -> None:
    options = [
        Instrument(symbol=symbol, kind=InstrumentKind.OPTION, base="BTC", expiry=HOUR_ONE + DAY)
        for symbol in ("BTC-1-C", "BTC-1-P")
    ]
    store_instruments(connection, Directory(), "deribit", options)
    whole = every(10, HOUR_ONE, HOUR_ONE + 2 * HOUR, symbol="BTC-1-C")
    broken = every(10, HOUR_ONE, HOUR_ONE + 2 * HOUR, symbol="BTC-1-P", missing=[100])
    record(connection, [*whole, *broken], exchange="deribit")
    (family,) = by_partition(completeness(connection, HOUR_ONE + 2 * HOUR - 1, hours=2), 1)
    assert (family.partition, family.instruments, family.missing) == ("deribit/BTC-options", 2, 1)
    assert len(family.shares) == 1
    week = by_partition(completeness(connection, HOUR_ONE + 2 * HOUR - 1, hours=2), 2)[0]
    assert week.shares[0] == pytest.approx((1.0 + 58 / 59) / 2)
