"""How fast trades come and how late."""

from __future__ import annotations

import pytest

from tests.processors.feeding import trade
from tests.recorded import HOUR_ONE, every, record
from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.ohlc import HOUR
from trade_platform.operations.completeness import completeness
from trade_platform.operations.pace import MOST, pace, pace_of


def test_rates_are_of_each_exchange_and_step(connection: Connection) -> None:
    """A trade every ten seconds, and on the other exchange one every thirty."""
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 30 * MINUTE))
    record(connection, every(30, HOUR_ONE, HOUR_ONE + 10 * MINUTE), exchange="deribit")
    found = pace(connection, [1, 2], HOUR_ONE + 30 * MINUTE, since=HOUR_ONE)
    assert found.step == MINUTE
    assert found.rates["binance_spot"] == pytest.approx({HOUR_ONE + n * MINUTE: 0.1 for n in range(30)})
    assert len(found.rates["deribit"]) == 10
    times, values = found.line(found.rates["deribit"])
    assert len(times) == 30
    assert values[9:12] == [pytest.approx(1 / 30), None, None]


def test_lag_is_the_median_of_what_was_not_read_again(connection: Connection) -> None:
    late = {1: 5_000, 2: 7_000, 3: 400_000, 4: HOUR}
    record(
        connection,
        [trade(n, HOUR_ONE + n, receive_time=HOUR_ONE + n + delay) for n, delay in late.items()],
    )
    found = pace(connection, [1], HOUR_ONE + MINUTE, since=HOUR_ONE)
    assert found.lags == {"binance_spot": {HOUR_ONE: 7.0}}, "milliseconds; the fourth was read again"


def test_a_day_has_no_more_points_than_a_line_shows(connection: Connection) -> None:
    found = pace(connection, [], HOUR_ONE)
    assert found.start <= HOUR_ONE - DAY < found.end
    assert len(found.line({})[0]) <= MOST
    assert (found.rates, found.lags) == ({}, {})


def test_the_plots_of_a_report_begin_where_the_recording_did(connection: Connection) -> None:
    record(connection, every(10, HOUR_ONE, HOUR_ONE + 2 * HOUR))
    report = completeness(connection, HOUR_ONE + 2 * HOUR)
    assert pace_of(connection, report).start == HOUR_ONE
    assert pace_of(connection, completeness(connection, HOUR_ONE + 3 * DAY)).start > HOUR_ONE + DAY
