"""Daily partitions of ``trade`` and ``number``: made ahead, and on demand for past days.

A partition is made beside its table (LIKE) and then attached: ATTACH takes a lock that writers of other
days do not notice. There is no default partition: attaching beside one would scan it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from psycopg import sql

from trade_platform.adapters.database.connection import Connection, DayRefused
from trade_platform.adapters.database.schema import PARTITIONED

AHEAD_DAYS: Final = 14
EARLIEST: Final = date(2009, 1, 3)
"""Before the first block of Bitcoin there was no market to record."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('trade_platform partitions', 0))"
# Asked of the catalog itself: to_regclass answers from a cache that an advisory lock does not refresh.
_ABSENT: Final = """
SELECT day FROM unnest(%s::date[]) AS day
WHERE NOT EXISTS (
    SELECT FROM pg_class
    WHERE relname = %s || to_char(day, '_YYYYMMDD') AND relnamespace = current_schema()::regnamespace
)
ORDER BY day
"""
_CREATE: Final = "CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)"
_ATTACH: Final = "ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({after})"
# Retention counts from here; for a day made ahead, from the day itself.
_NOTE: Final = """
INSERT INTO partition_day (relation, day, loaded_at)
VALUES (%s, %s, greatest(now(), %s::date::timestamp AT TIME ZONE 'UTC'))
ON CONFLICT (relation, day) DO UPDATE SET loaded_at = excluded.loaded_at
"""


def partition_name(relation: str, day: date) -> str:
    """``trade_20261122``."""
    return f"{relation}_{day:%Y%m%d}"


def days_ahead() -> list[date]:
    """Today and what is made ahead of it."""
    today = datetime.now(UTC).date()
    return [today + timedelta(days=offset) for offset in range(AHEAD_DAYS + 1)]


def ensure_partitions(connection: Connection, relation: str, days: Iterable[date]) -> list[date]:
    """Make the partitions that are absent, in one transaction of its own; returns their days."""
    wanted = sorted(set(days))
    if not _absent(connection, relation, wanted):
        return []
    with connection.transaction():
        connection.execute(_LOCK)
        absent = _absent(connection, relation, wanted)
        for day in absent:
            _make(connection, relation, day)
    return absent


def ensure_ahead(connection: Connection) -> list[date]:
    """Two weeks of every partitioned table; at a processor's start and daily."""
    return [day for relation in PARTITIONED for day in ensure_partitions(connection, relation, days_ahead())]


class Partitions:
    """What is known to exist; asks the database only about days not met before."""

    def __init__(self, today: Callable[[], date]) -> None:
        self._today = today
        self._known: dict[str, set[date]] = {relation: set() for relation in PARTITIONED}

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def last(self) -> date:
        """The latest day that is recorded, by our clock."""
        return self._today() + timedelta(days=AHEAD_DAYS)

    def check(self, days: Iterable[date]) -> None:
        """Raises DayRefused for what can only be a wrong clock."""
        last = self.last()
        for day in days:
            if not EARLIEST <= day <= last:
                raise DayRefused(f"the day {day} lies outside of what is recorded ({EARLIEST} to {last})")

    def ensure(self, connection: Connection, relation: str, days: set[date]) -> None:
        """Before the transaction that writes: the rows' days have their partitions. Raises DayRefused."""
        unknown = days - self._known[relation]
        if unknown:
            self.check(unknown)
            ensure_partitions(connection, relation, unknown)
            self._known[relation] |= unknown


def _absent(connection: Connection, relation: str, days: list[date]) -> list[date]:
    return [day for (day,) in connection.execute(_ABSENT, (days, relation))]


def _make(connection: Connection, relation: str, day: date) -> None:
    names = {"table": sql.Identifier(relation), "partition": sql.Identifier(partition_name(relation, day))}
    bounds = {
        "first": sql.Literal(f"{day} 00:00:00+00"),
        "after": sql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
    }
    connection.execute(sql.SQL(_CREATE).format(**names))
    connection.execute(sql.SQL(_ATTACH).format(**names, **bounds))
    connection.execute(_NOTE, (relation, day, day))
