from __future__ import annotations

import psycopg
import pytest
import redis

from trade_platform.commands.outages import outage_words

DATABASE = "postgresql://me:p@ss@nowhere.invalid/x"


def said(error: psycopg.Error | redis.RedisError, database_url: str = DATABASE) -> str:
    return outage_words(error, database_url, "redis://:hid/den@nowhere:1/0")


def test_a_server_that_is_away_names_its_setting_and_never_the_password() -> None:
    error = psycopg.OperationalError("failed to resolve host 'ss@nowhere.invalid': unknown\n\tIs it there?")
    assert said(error) == (
        "PostgreSQL does not answer (failed to resolve host '***@nowhere.invalid': unknown): "
        "start it or correct DATABASE_URL; `trade-platform doctor` checks it."
    )
    assert said(redis.ConnectionError("Error 111 connecting to nowhere, port hid. Refused.")) == (
        "Redis does not answer (Error 111 connecting to nowhere, port ***. Refused): "
        "start it or correct REDIS_URL; `trade-platform doctor` checks it."
    )


def test_where_no_setting_names_a_server_it_is_the_embedded_one() -> None:
    assert "start it with `trade-platform up` or set DATABASE_URL" in said(psycopg.OperationalError("no"), "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (psycopg.errors.AdminShutdown("terminating"), "PostgreSQL does not answer (terminating)"),
        (psycopg.errors.DiskFull("no space"), "PostgreSQL refuses (no space)"),
        (redis.TimeoutError(), "Redis does not answer (TimeoutError)"),
        (redis.ResponseError("OOM command not allowed"), "Redis refuses (OOM command not allowed)"),
        (
            psycopg.errors.UndefinedTable('no relation "gap"'),
            "The database has no schema of ours",
        ),
        (
            psycopg.ProgrammingError('invalid token: "p%zz"'),
            "DATABASE_URL is no database URL",
        ),
    ],
)
def test_what_a_server_refuses_is_not_an_outage(error: psycopg.Error | redis.RedisError, words: str) -> None:
    assert said(error).startswith(words)
