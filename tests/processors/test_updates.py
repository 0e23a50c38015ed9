"""Of two connections that deliver the same quote, each at its own time, one row stays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.processors.feeding import NOON, Feeder, entry, number, tables
from trade_platform.domain.model import MICROSECONDS, Number
from trade_platform.processors import updates


def quote(update: int, at: int, **changes: Any) -> Number:
    return number(at, update=update, **changes)


def stored(feeder: Feeder) -> list[tuple[int, int]]:
    """(update, when)."""
    rows = feeder.connection.execute(
        "SELECT update, (extract(epoch FROM event_time) * 1000000)::bigint FROM number ORDER BY 2, 1"
    )
    return [(update, at - NOON) for update, at in rows]


def test_an_update_that_another_connection_brings_again_is_no_second_row(feeder: Feeder) -> None:
    one = [quote(7, NOON), quote(8, NOON + 100)]
    feeder.apply(entry(one))
    other = [quote(7, NOON + 30), quote(8, NOON + 90), quote(9, NOON + 200)]
    applied = feeder.apply(entry(other, producer="other:1"))
    assert stored(feeder) == [(7, 0), (8, 100), (9, 200)]
    assert applied.duplicates == 2


def test_within_one_batch_and_of_each_metric_by_itself(feeder: Feeder) -> None:
    feeder.apply(entry([quote(7, NOON), quote(7, NOON + 1), quote(7, NOON + 2, symbol="ETHUSDT")]))
    assert stored(feeder) == [(7, 0), (7, 2)]


def test_a_processor_that_began_meanwhile_asks_the_database(feeder: Feeder) -> None:
    feeder.apply(entry([quote(7, NOON)]))
    feeder.load()
    feeder.apply(entry([quote(7, NOON + 30), quote(8, NOON + 40)], 2))
    assert stored(feeder) == [(7, 0), (8, 40)]


def test_a_late_one_is_found_when_it_is_no_longer_remembered(feeder: Feeder) -> None:
    """A spool that is sent minutes later."""
    feeder.apply(entry([quote(7, NOON + 60 * MICROSECONDS)]))
    for second in range(61, 200, 20):
        feeder.apply(entry([quote(second, NOON + second * MICROSECONDS)], second))
    feeder.apply(entry([quote(7, NOON + 61 * MICROSECONDS)], producer="other:1"))
    assert [update for update, _ in stored(feeder)].count(7) == 1


def test_the_same_number_much_later_is_another_update(feeder: Feeder) -> None:
    """Ids may begin anew."""
    feeder.apply(entry([quote(7, NOON), quote(7, NOON + updates.CLOSE + 1)]))
    assert len(stored(feeder)) == 2


def test_what_the_exchange_stamped_is_left_alone(feeder: Feeder) -> None:
    feeder.apply(entry([quote(7, NOON, receive_time=NOON + 5), quote(7, NOON + 1, receive_time=NOON + 5)]))
    feeder.apply(entry([quote(0, NOON + 2), quote(0, NOON + 3)], 2))
    assert len(stored(feeder)) == 4
    assert tables(feeder.connection, "dead_letter")["dead_letter"] == []


def test_what_is_forgotten_for_want_of_room_is_asked_for(
    feeder: Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "MOST_UPDATES", 4)
    feeder.load()
    feeder.apply(entry([quote(1, NOON)]))
    for n in range(2, 9):
        feeder.apply(entry([quote(n, NOON + n)], n))
        assert len(feeder.lane.updates) <= 4
    feeder.apply(entry([quote(n, NOON + 10 + n) for n in range(1, 9)], producer="other:1"))
    assert [update for update, _ in stored(feeder)] == list(range(1, 9))
