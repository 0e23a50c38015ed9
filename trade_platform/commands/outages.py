"""What a person is told when PostgreSQL or Redis does not answer, or not as it should."""

from __future__ import annotations

from typing import Final

import psycopg
import redis

from trade_platform.adapters.database.revision import COMMAND
from trade_platform.adapters.passwords import hide_password

AWAY: Final = ("08", "57P")
"""Beginnings of PostgreSQL's codes for a connection that is broken and a server that stops or starts."""


def outage_words(error: psycopg.Error | redis.RedisError, database_url: str, redis_url: str) -> str:
    """One sentence: what happened, which setting it is about, and what to do."""
    if isinstance(error, redis.RedisError):
        away = isinstance(error, redis.ConnectionError | redis.TimeoutError)
        return _words(error, "Redis", "REDIS_URL", redis_url, away=away)
    if isinstance(error, psycopg.errors.UndefinedTable):
        return f"The database has no schema of ours: run `{COMMAND}` with DATABASE_URL."
    if isinstance(error, psycopg.ProgrammingError):
        return "DATABASE_URL is no database URL: set it to postgresql://user@host:port/name."
    away = error.sqlstate is None or error.sqlstate.startswith(AWAY)
    return _words(error, "PostgreSQL", "DATABASE_URL", database_url, away=away)


def _words(error: Exception, server: str, setting: str, url: str, *, away: bool) -> str:
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    reason = hide_password(first.rstrip("."), url)
    if not away:
        return f"{server} refuses ({reason}): `trade-platform doctor` checks it."
    cure = f"start it or correct {setting}" if url else f"start it with `trade-platform up` or set {setting}"
    return f"{server} does not answer ({reason}): {cure}; `trade-platform doctor` checks it."
