"""One owner per stream: a session-level advisory lock on the very connection that writes the rows."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import errors

from trade_platform.adapters.database.connection import Connection

WAIT_SECONDS = 1
_ACQUIRE = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
_TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"


def lock_name(stream: str) -> str:
    """What the advisory lock's number is made from."""
    return f"trade_platform processor {stream}"


def try_to_own(connection: Connection, stream: str) -> bool:
    """Take the lock if nobody has it."""
    row = connection.execute(_TRY, (lock_name(stream),)).fetchone()
    return bool(row and row[0])


def wait_to_own(connection: Connection, stream: str, stopping: Callable[[], bool]) -> bool:
    """Wait as hot standby until the owner is gone; False when we were asked to stop meanwhile."""
    while not stopping():
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
                connection.execute(_ACQUIRE, (lock_name(stream),))
                return True
        except errors.LockNotAvailable:
            continue
    return False
