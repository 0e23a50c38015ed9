"""Steps from minutes to days, and the marks of what changed."""

from __future__ import annotations

import pytest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.rollups import STEPS, Bucket, load_stale, roll_due
from trade_platform.adapters.database.times import moment
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.ohlc import INTERVALS

MIDNIGHT = 20_000 * DAY
NOW = MIDNIGHT + 3 * 60 * MINUTE + 7 * MINUTE


@pytest.fixture
def marked(connection: Connection) -> Connection:
    """Two instruments' marks, one of them twice, one in a bucket that runs."""
    minutes = [(1, 1), (1, 2), (2, 1), (2, 186)]
    for instrument_id, minute in minutes:
        connection.execute(
            "INSERT INTO rollup_due VALUES (%s, '1m', %s)",
            (instrument_id, moment(MIDNIGHT + minute * MINUTE)),
        )
    return connection


def test_each_step_is_made_of_the_one_before_and_lies_within_a_day() -> None:
    assert [step.narrow for step in STEPS] == ["1m", *(step.interval for step in STEPS[:-1])]
    assert [step.parts for step in STEPS] == [5, 3, 4, 4, 6]
    assert all(DAY % INTERVALS[step.interval] == 0 for step in STEPS)
    assert STEPS[0].until(NOW) == NOW - 2 * MINUTE


def test_stale_are_the_buckets_that_are_over_each_once(marked: Connection) -> None:
    both = [Bucket(1, "5m", MIDNIGHT), Bucket(2, "5m", MIDNIGHT)]
    assert load_stale(marked, now=NOW, most=10) == both
    assert len(load_stale(marked, now=NOW, most=1)) == 1
    assert load_stale(marked, now=MIDNIGHT + 4 * MINUTE, most=10) == []


def test_a_mark_without_candles_is_taken_and_makes_nothing(marked: Connection) -> None:
    rolled = roll_due(marked, STEPS[0], now=NOW, most=10)
    assert (rolled.marks, rolled.buckets, rolled.changed) == (3, 2, 0)
    row = marked.execute("SELECT count(*) FROM rollup_due").fetchone()
    assert row == (1,), "the one in the running bucket waits"
