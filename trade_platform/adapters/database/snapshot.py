"""One view of the database for a whole piece of work, or the work is done again.

What is computed over seconds must not overwrite what a processor wrote meanwhile: in one snapshot
PostgreSQL itself refuses to write over a row that changed since, and nobody has to wait for a lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from psycopg import errors

from trade_platform.adapters.database.connection import Connection

TRIES: Final = 5

T = TypeVar("T")


def in_one_snapshot(connection: Connection, work: Callable[[], T]) -> T:
    """The work in a transaction of its own, from the beginning where somebody was faster.

    Raises the server's refusal when that happened ``TRIES`` times in a row.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                return work()
        except (errors.SerializationFailure, errors.DeadlockDetected):
            if attempt == TRIES:
                raise
    raise AssertionError("the last try returns or raises")
