"""Connections to PostgreSQL, and what their errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# A peer that vanished without a word is noticed within ten seconds, by both sides: the owner of a stream
# that lost its network must lose its lock before long, or no standby could take over.
_OUR_SIDE: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SERVER_SIDE: Final = {
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "timezone": "UTC",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}


class DayRefused(Exception):
    """A record's day lies outside of what can be recorded."""


class ClockBehind(Exception):
    """All that comes lies in our future: our clock is wrong, not the records. The sentence says so."""


REFUSALS: Final = (psycopg.DataError, psycopg.IntegrityError, OverflowError, DayRefused)
"""The rows themselves are wrong: the same rows would be refused again."""


class WrongUrl(Exception):
    """DATABASE_URL cannot be understood; the sentence says what to do."""


class SchemaBehind(Exception):
    """The database lacks the schema that this code needs; the sentence says which command makes it."""


def libpq_url(url: str) -> str:
    """A URL as libpq takes it; raises WrongUrl."""
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError as error:  # the URL itself may hold a password: it is not repeated
        raise WrongUrl(
            "DATABASE_URL is no database URL: set it to postgresql://user@host:port/name."
        ) from error
    return plain


def connect(url: str, *, name: str, **session: str) -> Connection:
    """An autocommit connection; ``session`` are parameters for its whole life (synchronous_commit …)."""
    connection = psycopg.connect(libpq_url(url), autocommit=True, application_name=name, **_OUR_SIDE)
    try:
        for parameter, value in {**_SERVER_SIDE, **session}.items():
            connection.execute("SELECT set_config(%s, %s, false)", (parameter, value))
    except BaseException:
        connection.close()
        raise
    return connection


def passes_by_itself(error: BaseException) -> bool:
    """The server, the network or a rival is the cause: the same rows may be accepted later."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError)


def sentence(error: BaseException) -> str:
    """The first line of what the server said."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
