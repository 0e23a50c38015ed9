"""When a repair is asked for, and when not; and one that goes on until nothing is due."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operations.spot import (
    Market,
    Producer,
    broken,
    desk_of,
    ledger_of,
    noted,
    numbers_of,
    processing,
    stored,
)
from tests.processors.feeding import EXCHANGE, NOON
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.gaps import note_attempt, open_gaps, try_to_lead
from trade_platform.domain.defences import Defence
from trade_platform.domain.gaps import FIRST_SECONDS
from trade_platform.domain.model import MINUTE, Channel
from trade_platform.operations.due_repairs import SOON_SECONDS, due_for_repair, repair_due

LATER = NOON + 120 * MINUTE


def note(connection: Connection, *gaps: tuple[int, int], exchange: str = EXCHANGE) -> None:
    write_gaps(connection, exchange, [noted(first, last) for first, last in gaps])


def age(connection: Connection, seconds: float, first: int | None = None) -> None:
    """So long later."""
    connection.execute(
        """UPDATE gap SET detected_at = detected_at - make_interval(secs => %(s)s),
                          attempted_at = attempted_at - make_interval(secs => %(s)s)
           WHERE %(first)s::bigint IS NULL OR first_sequence = %(first)s""",
        {"s": seconds, "first": first},
    )


def attempt(connection: Connection, first: int) -> None:
    (gap,) = [gap for gap in open_gaps(connection) if gap.first == first]
    note_attempt(connection, gap.gap_id)


def test_a_fresh_gap_is_left_to_whoever_noted_it(connection: Connection) -> None:
    note(connection, (2, 3))
    assert due_for_repair(connection, LATER).gaps == 0
    age(connection, FIRST_SECONDS - SOON_SECONDS + 0.1)
    due = due_for_repair(connection, LATER)
    assert (due.gaps, due.exchanges) == (1, (EXCHANGE,))


def test_the_key_names_the_work_and_changes_with_each_attempt(connection: Connection) -> None:
    note(connection, (2, 3), (8, 9))
    age(connection, 60)
    one = due_for_repair(connection, LATER)
    assert one.gaps == 2
    assert due_for_repair(connection, LATER).key == one.key
    attempt(connection, 2)
    age(connection, 3600)
    assert due_for_repair(connection, LATER).key != one.key


def test_an_exchange_that_left_work_undone_is_left_alone_for_a_pause(connection: Connection) -> None:
    """A pass ends at the first gap without an answer: the others stay due, and are no reason to ask again."""
    note(connection, (2, 3), (8, 9))
    age(connection, 60)
    attempt(connection, 2)
    assert due_for_repair(connection, LATER).gaps == 0
    age(connection, 6)
    assert due_for_repair(connection, LATER).gaps == 2


def test_a_gap_that_became_due_since_is_a_reason(connection: Connection) -> None:
    note(connection, (2, 3), (8, 9))
    age(connection, 60, first=2)
    attempt(connection, 2)
    age(connection, 1, first=2)
    age(connection, FIRST_SECONDS, first=8)
    assert due_for_repair(connection, LATER).gaps == 1


def test_the_pause_ends_after_some_minutes_however_often_it_was_tried(connection: Connection) -> None:
    note(connection, (2, 3), (8, 9))
    age(connection, 7200)
    for _ in range(9):
        attempt(connection, 2)
    age(connection, 299)
    assert due_for_repair(connection, LATER).gaps == 0
    age(connection, 2)
    assert due_for_repair(connection, LATER).gaps == 1  # the first waits for its hour


def test_another_exchange_does_not_wait_for_the_one_that_is_away(connection: Connection) -> None:
    note(connection, (2, 3), (8, 9))
    note(connection, (2, 3), exchange="deribit")
    age(connection, 60)
    (first, *_) = open_gaps(connection)
    note_attempt(connection, first.gap_id)
    assert due_for_repair(connection, LATER).exchanges == ("deribit",)


def test_minutes_that_are_not_over_and_strange_exchanges_are_no_work(connection: Connection) -> None:
    write_gaps(connection, EXCHANGE, [broken(Channel.CANDLE, 130, 250)])
    note(connection, (2, 3), exchange="mtgox")
    age(connection, 60)
    assert due_for_repair(connection, NOON).gaps == 0
    assert due_for_repair(connection, LATER).gaps == 1


# --- repairing ---


@pytest.fixture
def running(postgres_url: str, redis_url: str) -> Iterator[Producer]:
    with processing(postgres_url, redis_url):
        producer = Producer(redis_url)
        yield producer
        producer.client.close()


async def test_everything_that_is_due_is_repaired_in_one_go(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 101))
    running.trades([*range(1, 11), *range(21, 41), *range(51, 101)])
    running.send(noted(11, 20), noted(41, 50))
    await stored(connection, 80, 2)
    age(connection, 60)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        done = await repair_due(desk)
    assert numbers_of(connection) == list(range(1, 101))
    assert (done.repaired, done.open, done.records, done.attempts, done.busy) == (2, 0, 20, 2, False)


async def test_what_will_be_due_when_a_run_has_begun_is_waited_for(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 101))
    running.trades([*range(1, 11), *range(21, 101)])
    running.send(noted(11, 20))
    await stored(connection, 90, 1)
    age(connection, FIRST_SECONDS - 1.0)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        done = await repair_due(desk)
    assert (done.repaired, done.open) == (1, 0)


async def test_while_an_exchange_is_away_one_attempt_is_made_and_not_more(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.status, market.refusal = 503, "away"
    running.trades([*range(1, 11), *range(21, 41), *range(51, 101)])
    running.send(noted(11, 20), noted(41, 50))
    await stored(connection, 80, 2)
    age(connection, 60)
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        done = await repair_due(desk)
    assert (done.repaired, done.open, done.attempts) == (0, 2, 1)
    assert due_for_repair(connection, LATER).gaps == 0


async def test_where_somebody_repairs_nothing_is_done(
    postgres_url: str, connection: Connection, redis_url: str
) -> None:
    note(connection, (2, 3))
    age(connection, 60)
    with connect(postgres_url, name="other") as other:
        assert try_to_lead(other)
        async with desk_of(connection, redis_url, Market()) as desk:
            done = await repair_due(desk)
    assert (done.busy, done.open, done.passes) == (True, 1, 0)


async def test_a_rehearsal_without_repair_ends_after_one_look(
    running: Producer, connection: Connection, redis_url: str
) -> None:
    running.trades([*range(1, 11), *range(21, 101)])
    running.send(noted(11, 20))
    await stored(connection, 90, 1)
    age(connection, 60)
    async with desk_of(connection, redis_url, Market()) as desk:
        done = await repair_due(desk, without=frozenset({Defence.REPAIR}))
    assert (done.passes, done.open) == (1, 1)
    assert ledger_of(connection)[0][4] == "open"
