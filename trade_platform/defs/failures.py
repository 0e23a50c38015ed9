"""What a person reads on the page of a run that could not reach something: one sentence, no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg
import psycopg
from redis import RedisError

from trade_platform.adapters.database.connection import SchemaBehind, WrongUrl, sentence
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.redis_reader import WrongRedisUrl
from trade_platform.operations.desk import NotStored

AWAY: Final[tuple[type[Exception], ...]] = (
    *(CannotStart, NotStored, SchemaBehind, WrongUrl, WrongRedisUrl),
    *(psycopg.OperationalError, psycopg.InterfaceError, RedisError),
)
"""What somebody must start, mend or wait for; anything else is a mistake of ours, and keeps its trace."""


@contextmanager
def in_a_sentence(*others: type[Exception]) -> Iterator[None]:
    """Inside a run: where a server is away, the run fails with the sentence that says which.

    ``others``: errors that are a sentence already, and of this run alone.
    """
    try:
        yield
    except (*AWAY, *others) as error:
        raise dg.Failure(sentence(error)) from None
