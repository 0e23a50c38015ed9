"""What is asked of the tables while a run goes on, in a real database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.recorded import Tables
from tests.operations.spot import noted
from trade_platform.adapters.database.connection import connect
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.gaps import close_gap, open_gaps
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import State, Verdict

GIVEN_UP = Verdict(State.UNREPAIRABLE, "gone")


@pytest.fixture
def tables(postgres_url: str) -> Iterator[Tables]:
    tables = Tables(postgres_url)
    yield tables
    tables.close()


def test_of_a_gap_that_was_repaired_in_part_only_what_remains_is_gone(
    postgres_url: str, tables: Tables
) -> None:
    with connect(postgres_url, name="test") as connection:
        write_gaps(
            connection, "deribit", [noted(1, 100), noted(90, 120), noted(500, 509, "B"), noted(7, 8, "C")]
        )
        whole, overlapping, other, _open = open_gaps(connection)
        close_gap(connection, whole.gap_id, GIVEN_UP, Ranges.of([3, 4, 95]))
        close_gap(connection, overlapping.gap_id, GIVEN_UP, Ranges.of([95, 96]))
        close_gap(connection, other.gap_id, GIVEN_UP)
    assert tables.unrepairable_numbers() == len({3, 4, 95, 96}) + 10


def test_nothing_is_gone_where_every_gap_was_repaired(postgres_url: str, tables: Tables) -> None:
    with connect(postgres_url, name="test") as connection:
        write_gaps(connection, "deribit", [noted(1, 100)])
        (gap,) = open_gaps(connection)
        close_gap(connection, gap.gap_id, Verdict(State.REPAIRED, "held"), Ranges.of([]))
    assert tables.unrepairable_numbers() == 0


def test_a_state_counts_when_it_has_an_exit_and_no_other_holds(postgres_url: str, tables: Tables) -> None:
    def told(second: int, scope: str, status: str) -> int:
        with connect(postgres_url, name="test") as connection:
            connection.execute(
                "insert into exchange_state (exchange, scope, event_time, status, reason, receive_time) "
                "values ('deribit', %s, to_timestamp(%s), %s, '', to_timestamp(%s))",
                (scope, second, status, second),
            )
        return tables.exits("deribit")

    assert tables.exits("deribit") == 0
    assert told(1, "", "open") == 0
    assert told(2, "", "maintenance") == 0
    assert told(3, "", "open") == 1
    assert told(4, "btc_usd", "locked") == 0
    assert told(5, "", "maintenance") == 0
    assert told(6, "", "open") == 0
    assert told(7, "btc_usd", "open") == 3
