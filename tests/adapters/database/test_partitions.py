from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from trade_platform.adapters.database.connection import Connection, DayRefused, connect
from trade_platform.adapters.database.partitions import (
    AHEAD_DAYS,
    Partitions,
    days_ahead,
    ensure_ahead,
    ensure_partitions,
    partition_name,
)

DAY = date(2021, 4, 5)


def partitions(connection: Connection, relation: str = "trade") -> list[str]:
    statement = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1"
    return [name for (name,) in connection.execute(statement, (relation,)) if not name.endswith("pkey")]


def test_two_weeks_are_made_ahead(connection: Connection) -> None:
    made = ensure_ahead(connection)
    today = datetime.now(UTC).date()
    assert set(made) == {today + timedelta(days=n) for n in range(AHEAD_DAYS + 1)}
    for relation in ("trade", "number"):
        assert partitions(connection, relation) == [partition_name(relation, day) for day in days_ahead()]
    assert ensure_ahead(connection) == []


def test_a_partition_takes_its_whole_day_and_no_more(connection: Connection) -> None:
    """In UTC, whatever the session's time zone is."""
    connection.execute("SET timezone = 'Asia/Tokyo'")
    ensure_partitions(connection, "trade", [DAY])
    bound = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'trade_20210405'"
    connection.execute("SET timezone = 'UTC'")
    assert connection.execute(bound).fetchone() == (
        "FOR VALUES FROM ('2021-04-05 00:00:00+00') TO ('2021-04-06 00:00:00+00')",
    )


def test_a_partition_has_the_keys_and_checks_of_its_table(connection: Connection) -> None:
    ensure_partitions(connection, "trade", [DAY])
    constraints = "SELECT conname, contype FROM pg_constraint WHERE conrelid = 'trade_20210405'::regclass"
    assert {kind for _, kind in connection.execute(constraints)} >= {"p", "c"}


def test_many_processes_at_once_do_not_collide(postgres_url: str) -> None:
    days = [DAY + timedelta(days=n) for n in range(10)]
    made: list[list[date]] = []

    def one() -> None:
        with connect(postgres_url, name="one of many") as connection:
            made.append(ensure_partitions(connection, "trade", days))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(day for days_made in made for day in days_made) == days, "each was made once"


def test_what_is_made_is_noted(connection: Connection) -> None:
    """A past day counts from now, a coming one from itself."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    ensure_partitions(connection, "number", [DAY, tomorrow])
    rows = dict(connection.execute("SELECT day, loaded_at FROM partition_day").fetchall())
    assert rows[DAY] > datetime.now(UTC) - timedelta(hours=1)
    assert rows[tomorrow] == datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)


def test_a_writer_is_not_disturbed_by_a_new_day(connection: Connection, postgres_url: str) -> None:
    """ATTACH waits for no writer of another day: this would hang, or run into lock_timeout."""
    ensure_partitions(connection, "trade", [DAY])
    with connect(postgres_url, name="writer") as writer, writer.transaction():
        writer.execute(
            "INSERT INTO trade (instrument_id, event_time, sequence, price, quantity, side, first_id,"
            " last_id, flags, receive_time) VALUES (1, '2021-04-05 12:00+00', 1, 1, 1, 'buy', 1, 1, 0, now())"
        )
        assert ensure_partitions(connection, "trade", [DAY + timedelta(days=1)])


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(2026, 12, 1)])
def test_a_day_that_can_only_be_a_wrong_clock_is_refused(connection: Connection, day: date) -> None:
    known = Partitions(lambda: date(2026, 11, 1))
    with pytest.raises(DayRefused, match=str(day)):
        known.ensure(connection, "trade", {day})
    assert partitions(connection) == []
