"""What hours and days hold, by steps in an index."""

from __future__ import annotations

from datetime import timedelta

from tests.processors.feeding import kline
from tests.recorded import HOUR_ONE, every, record
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.hours import load_bounds, load_days, load_ends, load_minutes
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, MINUTE, Channel
from trade_platform.domain.ohlc import HOUR

TODAY = day_of(HOUR_ONE)
SERIES = (1, Channel.TRADE)


def test_days_come_with_the_last_one_before_them(connection: Connection) -> None:
    for at, first in ((HOUR_ONE - 9 * DAY, 1), (HOUR_ONE - 5 * DAY, 11), (HOUR_ONE, 21)):
        record(connection, every(1, at, at + 10_000_000, first=first))
    found = load_days(connection, TODAY - timedelta(days=1), TODAY)
    assert found == {
        SERIES: {TODAY - timedelta(days=5): Ranges.between(11, 21), TODAY: Ranges.between(21, 31)}
    }
    assert load_days(connection, TODAY + timedelta(days=1), TODAY + timedelta(days=2)) == {}


def test_bounds_and_ends_are_the_first_and_last_trades(connection: Connection) -> None:
    record(connection, every(60, HOUR_ONE, HOUR_ONE + 2 * HOUR, missing=[5]))
    last = HOUR_ONE + 119 * MINUTE
    assert load_bounds(connection, [(SERIES, TODAY, TODAY)]) == {SERIES: (HOUR_ONE, last)}
    ends = load_ends(connection, [SERIES], HOUR_ONE - HOUR, HOUR_ONE + 3 * HOUR)
    assert ends == {SERIES: {HOUR_ONE: (1, 60), HOUR_ONE + HOUR: (61, 120)}}
    other = (1, Channel.AGGREGATE_TRADE)
    assert load_ends(connection, [other], HOUR_ONE, HOUR_ONE + HOUR) == {other: {}}
    assert load_bounds(connection, []) == {}


def test_minutes_are_counted_by_source_and_hour(connection: Connection) -> None:
    record(connection, every(10, HOUR_ONE, HOUR_ONE + HOUR))
    record(connection, [kline(HOUR_ONE + 61 * MINUTE), kline(HOUR_ONE + 62 * MINUTE)])
    found = load_minutes(connection, [1], HOUR_ONE, HOUR_ONE + 2 * HOUR)
    assert [(one.hour, one.proven, one.told, one.first_told) for one in found] == [
        (HOUR_ONE, 58, 0, None),
        (HOUR_ONE + HOUR, 0, 2, HOUR_ONE + 61 * MINUTE),
    ]
