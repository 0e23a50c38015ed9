from __future__ import annotations

import threading
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.coverage import (
    Key,
    extend_coverage,
    extend_time_coverage,
    load_upper_times,
    lock_coverage,
)
from trade_platform.adapters.database.times import day_of, days_of, microseconds_of, moment
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, MICROSECONDS

KEY: Key = (1, "trade", date(2026, 11, 22))
MIDNIGHT = 1_790_000_000_000_000 // DAY * DAY


def note(connection: Connection, *numbers: int, key: Key = KEY) -> dict[Key, Ranges]:
    with connection.transaction():
        held = lock_coverage(connection, {key: Ranges.of(numbers)}, set())
        extend_coverage(connection, {key: Ranges.of(numbers)})
    return held


def stored(connection: Connection) -> Ranges:
    [text] = connection.execute("SELECT held::text FROM coverage").fetchone() or ()
    return Ranges.from_text(text)


def test_what_is_held_already_is_told_and_the_rest_added(connection: Connection) -> None:
    assert note(connection, 1, 2, 3) == {}
    assert note(connection, 3, 4, 9) == {KEY: Ranges.of([3])}
    assert stored(connection) == Ranges.of([1, 2, 3, 4, 9])


def test_a_row_waits_for_its_lock_and_sees_what_was_committed(
    connection: Connection, postgres_url: str
) -> None:
    """The second writer waits, then subtracts what the first one added meanwhile."""
    note(connection, 1)
    found: list[dict[Key, Ranges]] = []

    def second() -> None:
        with connect(postgres_url, name="second") as other:
            found.append(note(other, 2, 3))

    with connection.transaction():
        lock_coverage(connection, {KEY: Ranges.of([2])}, {KEY})
        thread = threading.Thread(target=second)
        thread.start()
        waiting = """SELECT count(*) FROM pg_stat_activity
                     WHERE application_name = 'second' AND wait_event_type = 'Lock'"""
        with connect(postgres_url, name="looker") as looker:
            while looker.execute(waiting).fetchone() != (1,):
                pass
        extend_coverage(connection, {KEY: Ranges.of([2])})
    thread.join()
    assert found == [{KEY: Ranges.of([2])}]
    assert stored(connection) == Ranges.of([1, 2, 3])


def test_time_is_cut_at_midnight(connection: Connection) -> None:
    extend_time_coverage(connection, {(1, "quote"): [(MIDNIGHT - 5, MIDNIGHT + 7)]})
    rows = connection.execute("SELECT day, held::text FROM time_coverage ORDER BY day").fetchall()
    assert [day for day, _ in rows] == [day_of(MIDNIGHT - 1), day_of(MIDNIGHT)]
    assert [Ranges.from_time_text(held).count for _, held in rows] == [5, 7]
    assert load_upper_times(connection, [(1, "quote"), (2, "quote")]) == {
        (1, "quote"): MIDNIGHT + 7,
        (2, "quote"): None,
    }


def test_time_that_touches_becomes_one_range(connection: Connection) -> None:
    for low in (0, 10, 30):
        extend_time_coverage(connection, {(1, "candle"): [(MIDNIGHT + low, MIDNIGHT + low + 10)]})
    [held] = connection.execute("SELECT held::text FROM time_coverage").fetchone() or ()
    assert Ranges.from_time_text(held).spans == ((MIDNIGHT, MIDNIGHT + 20), (MIDNIGHT + 30, MIDNIGHT + 40))


@given(st.integers(0, 4 * 10**15), st.integers(0, 4 * DAY))
def test_cutting_at_midnights_loses_nothing(low: int, length: int) -> None:
    parts = list(days_of(low, low + length))
    assert sum(end - start for _, start, end in parts) == length
    assert all(day_of(start) == day == day_of(end - 1) for day, start, end in parts)


@given(st.integers(0, 4 * 10**15))
def test_a_moment_is_exact(microseconds: int) -> None:
    assert microseconds_of(moment(microseconds)) == microseconds
    assert moment(MICROSECONDS).second == 1
