"""Where a server is away, a run's page says so in one sentence; a mistake of ours keeps its trace."""

from __future__ import annotations

import dagster as dg
import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisAway

from trade_platform.adapters.process import CannotStart
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.live.instruments import instrument_catalogue
from trade_platform.defs.stores import Stores
from trade_platform.operations.desk import NotStored


@pytest.mark.parametrize(
    "error",
    [
        CannotStart("Nothing is running here."),
        NotStored("Nobody stores it."),
        psycopg.OperationalError("connection refused\nIs the server running?"),
        RedisAway("connection refused"),
    ],
)
def test_a_server_that_is_away_is_one_sentence(error: Exception) -> None:
    with pytest.raises(dg.Failure) as failure, in_a_sentence():
        raise error
    assert failure.value.description == str(error).splitlines()[0]
    assert failure.value.__cause__ is None


def test_what_is_a_sentence_of_this_run_alone_is_named() -> None:
    with pytest.raises(dg.Failure, match="busy"), in_a_sentence(LookupError):
        raise LookupError("busy")


def test_a_mistake_of_ours_keeps_its_trace() -> None:
    with pytest.raises(psycopg.errors.UndefinedColumn), in_a_sentence():
        raise psycopg.errors.UndefinedColumn("no such column")


def test_the_page_of_a_run_shows_the_sentence_and_no_trace() -> None:
    outcome = dg.materialize(
        [instrument_catalogue],
        resources={"stores": Stores(database_url="postgresql://127.0.0.1:9/none")},
        raise_on_error=False,
    )
    (failed,) = (event for event in outcome.all_events if event.is_step_failure)
    told = failed.step_failure_data
    assert told.user_failure_data is not None
    assert "127.0.0.1" in (told.user_failure_data.description or "")
    assert "Traceback" not in str(failed.message)
