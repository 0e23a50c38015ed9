"""Work of seconds beside writers of milliseconds: it never overwrites what it did not see."""

from __future__ import annotations

import pytest
from psycopg import errors

from trade_platform.adapters.database import snapshot
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.snapshot import in_one_snapshot


@pytest.fixture
def number(connection: Connection, postgres_url: str) -> Connection:
    connection.execute("CREATE TABLE number_of_ours (key int PRIMARY KEY, value int)")
    connection.execute("INSERT INTO number_of_ours VALUES (1, 10)")
    return connection


def value(connection: Connection) -> int:
    row = connection.execute("SELECT value FROM number_of_ours").fetchone()
    assert row is not None
    return int(row[0])


def test_a_write_over_a_row_that_changed_meanwhile_begins_anew(number: Connection, postgres_url: str) -> None:
    seen = []

    def add_one() -> None:
        seen.append(value(number))
        if len(seen) == 1:
            with connect(postgres_url, name="somebody faster") as other:
                other.execute("UPDATE number_of_ours SET value = 20")
        assert value(number) == seen[-1], "one view from beginning to end"
        number.execute("UPDATE number_of_ours SET value = %s", (seen[-1] + 1,))

    in_one_snapshot(number, add_one)
    assert seen == [10, 20]
    assert value(number) == 21


def test_a_row_that_was_made_meanwhile_is_not_overwritten_either(
    number: Connection, postgres_url: str
) -> None:
    tries = []

    def insert() -> None:
        tries.append(value(number))
        if len(tries) == 1:
            with connect(postgres_url, name="somebody faster") as other:
                other.execute("INSERT INTO number_of_ours VALUES (2, 0)")
        number.execute(
            "INSERT INTO number_of_ours VALUES (2, 5) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )

    in_one_snapshot(number, insert)
    assert len(tries) == 2


def test_it_gives_up_after_some_tries_and_leaves_nothing(number: Connection, postgres_url: str) -> None:
    tries = []

    def never() -> None:
        tries.append(value(number))
        with connect(postgres_url, name="somebody faster") as other:
            other.execute("UPDATE number_of_ours SET value = value + 1")
        number.execute("UPDATE number_of_ours SET value = 0")

    with pytest.raises(errors.SerializationFailure):
        in_one_snapshot(number, never)
    assert len(tries) == snapshot.TRIES
    assert value(number) == 10 + snapshot.TRIES


def test_another_error_is_not_tried_again(number: Connection) -> None:
    tries = []

    def wrong() -> None:
        tries.append(1)
        number.execute("UPDATE number_of_ours SET value = 1")
        raise ValueError("of another kind")

    with pytest.raises(ValueError, match="of another kind"):
        in_one_snapshot(number, wrong)
    assert len(tries) == 1
    assert value(number) == 10
