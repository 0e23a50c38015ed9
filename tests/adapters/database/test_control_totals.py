"""What the statements of a comparison read and keep; what they mean: tests/operations/test_control.py."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import psycopg
import pytest

from tests.processors.feeding import NOON, Feeder, entry, kline, trade
from trade_platform.adapters.database.closed_days import days_to_close, mark_closed
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_evidence import load_evidence
from trade_platform.adapters.database.control_totals import (
    DayCounts,
    absent_minutes,
    asked_until,
    count_minutes,
    find_differences,
    keep,
    not_held,
    stored_differences,
)
from trade_platform.adapters.database.day_checks import (
    broken_rules,
    gaps_of,
    load_stretches,
    repeated_numbers,
)
from trade_platform.adapters.database.stored_minutes import load_candles, load_waiting
from trade_platform.adapters.database.times import day_of, microseconds_of
from trade_platform.domain.control import Class, Judgement, Rule, rules_of
from trade_platform.domain.model import DAY, MINUTE

TODAY = day_of(NOON)
MIDNIGHT = NOON // DAY * DAY


@pytest.fixture
def fed(connection: Connection) -> Feeder:
    feeder = Feeder(connection)
    feeder.apply(entry([trade(n, NOON + n * MINUTE // 2) for n in range(1, 9)]))
    feeder.apply(entry([kline(NOON + MINUTE, trades=2, first_id=2, last_id=3, volume=Decimal(7))], 2))
    return feeder


def test_statements_speak_of_one_instrument_and_day(fed: Feeder, connection: Connection) -> None:
    found = find_differences(connection, 1, TODAY, rules_of("binance_spot"))
    assert set(found) == {NOON + MINUTE}
    assert found[NOON + MINUTE]["volume"] == (Decimal("0.5"), 7)
    assert find_differences(connection, 2, TODAY, rules_of("binance_spot")) == {}
    assert find_differences(connection, 1, date(2026, 1, 1), rules_of("binance_spot")) == {}
    assert count_minutes(connection, 1, TODAY) == (1, 0, 0)
    assert load_evidence(connection, 1, TODAY, found)[NOON + MINUTE].spare_ids == 0


def test_a_rule_decides_what_differs(fed: Feeder, connection: Connection) -> None:
    assert find_differences(connection, 1, TODAY, {"volume": Rule(tolerance=Decimal("6.5"))}) == {}
    assert find_differences(connection, 1, TODAY, {"volume": Rule(tolerance=Decimal("6.4"))})
    connection.execute("UPDATE candle SET volume = 0 WHERE source = 'exchange'")
    assert find_differences(connection, 1, TODAY, {"volume": Rule(decimals=0)}) == {}
    assert find_differences(connection, 1, TODAY, {"volume": Rule(decimals=1)})


def test_minutes_that_are_not_held_end_by_the_time_that_is_given(fed: Feeder, connection: Connection) -> None:
    minutes = not_held(connection, 1, TODAY, NOON + 3 * MINUTE)
    assert minutes[0] == MIDNIGHT
    assert minutes[-1] == NOON + 2 * MINUTE
    assert NOON + MINUTE not in minutes
    assert len(not_held(connection, 1, TODAY, NOON + 99 * DAY)) == 1439
    assert not_held(connection, 1, TODAY, MIDNIGHT - 1) == []


def test_what_is_asked_for_is_remembered_with_the_day(fed: Feeder, connection: Connection) -> None:
    assert asked_until(connection, 1, TODAY) is None
    pair = (Decimal(1), Decimal(2))
    found = [(NOON + MINUTE, "close", pair, Judgement(Class.OPEN, "why"))]
    assert keep(connection, 1, TODAY, found, DayCounts(compared=1, open=1), NOON) == 0
    assert asked_until(connection, 1, TODAY) == NOON
    (one,) = stored_differences(connection, 1, TODAY)
    assert (one.field, one.ours, one.theirs, one.explanation) == ("close", 1, 2, "why")
    assert microseconds_of(one.open_time) == NOON + MINUTE
    assert stored_differences(connection, 1, TODAY, Class.EXPLAINED) == []
    assert keep(connection, 1, TODAY, [], DayCounts(compared=1, equal=1), NOON) == 1


def test_a_day_s_counts_add_up(fed: Feeder, connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        keep(connection, 1, TODAY, [], DayCounts(compared=2, equal=1), None)


def test_absent_minutes_lie_between_the_first_and_the_last_that_anybody_knows(
    fed: Feeder, connection: Connection
) -> None:
    absent = absent_minutes(connection, 1, TODAY, NOON + 99 * DAY)
    assert {(at - NOON) // MINUTE: trades for at, trades in absent.items()} == {0: 1, 2: 2, 3: 2}


def test_a_day_is_due_when_a_later_one_was_heard_and_nothing_waits(
    fed: Feeder, connection: Connection
) -> None:
    asked = (connection, date(2026, 1, 1), date(2027, 1, 1), 10)
    assert days_to_close(*asked) == []
    fed.apply(entry([trade(9, NOON + DAY)], 3))
    assert [row[-1] for row in days_to_close(*asked)] == [TODAY]
    connection.execute("UPDATE coverage SET held = held - '{[4,5)}'::int8multirange WHERE day = %s", (TODAY,))
    assert days_to_close(*asked) == [], "a hole"
    connection.execute("UPDATE coverage SET held = held + '{[4,5)}'::int8multirange WHERE day = %s", (TODAY,))
    keep(connection, 1, TODAY, [], DayCounts(), None)
    assert mark_closed(connection, 1, TODAY)
    assert not mark_closed(connection, 1, TODAY)
    assert days_to_close(*asked) == []


def test_the_questions_of_checks_find_nothing_wrong_in_what_is_right(
    fed: Feeder, connection: Connection
) -> None:
    (stretch,) = load_stretches(connection, 1, TODAY)
    assert (stretch.held, stretch.missing, stretch.before, stretch.after, stretch.overlaps) == (
        *(8, 0, None, None, False),
    )
    assert (stretch.rows, stretch.numbers) == (8, 8)
    assert repeated_numbers(connection, 1, TODAY) == []
    assert broken_rules(connection, 1, TODAY, ["1m"]) == []
    assert gaps_of(connection, 1, TODAY) == []
    sources = [(one.open_time, one.source) for one in load_candles(connection, 1, TODAY, "1m")]
    assert sources[0] == (NOON, "trade")
    assert (NOON + MINUTE, "exchange") in sources
    assert load_waiting(connection, 1, TODAY)
