from __future__ import annotations

import threading
import time

import pytest

from trade_platform.adapters.database import positions
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.ownership import try_to_own, wait_to_own
from trade_platform.adapters.database.positions import (
    Progress,
    forget_producers,
    load_position,
    load_producers,
    move_position,
    save_producers,
)

DAY = 86_400_000_000


def test_one_owner_at_a_time(connection: Connection, postgres_url: str) -> None:
    assert try_to_own(connection, "market:a")
    with connect(postgres_url, name="other") as other:
        assert not try_to_own(other, "market:a")
        assert try_to_own(other, "market:b")


def test_a_standby_takes_over_when_the_owner_is_gone(connection: Connection, postgres_url: str) -> None:
    assert try_to_own(connection, "state")
    owned: list[bool] = []
    with connect(postgres_url, name="standby") as standby:
        thread = threading.Thread(target=lambda: owned.append(wait_to_own(standby, "state", lambda: False)))
        thread.start()
        connection.close()
        thread.join(60)
        assert owned == [True]


def test_a_standby_stops_when_asked(connection: Connection, postgres_url: str) -> None:
    assert try_to_own(connection, "state")
    with connect(postgres_url, name="standby") as standby:
        assert not wait_to_own(standby, "state", iter([False, True]).__next__)


def test_a_position_begins_at_the_beginning_and_moves(connection: Connection) -> None:
    assert load_position(connection, "state") == "0-0"
    move_position(connection, "state", "0-0", "17-3")
    assert load_position(connection, "state") == "17-3"


def test_producers_are_forgotten_a_month_after_they_began_and_ended(connection: Connection) -> None:
    """By the database's clock: a replay brings records of long ago, and is young."""
    now = time.time_ns() // 1000
    ended = Progress(5, now - 40 * DAY, None)
    progress = {
        f"ended:{now - 60 * DAY}": ended,
        f"replay:{now - DAY}": ended,
        f"old and at work:{now - 60 * DAY}": Progress(7, now, now - DAY),
        "without a beginning": ended,
    }
    save_producers(connection, "state", progress.items())
    assert load_producers(connection, "state") == progress
    assert forget_producers(connection, "state") == 1
    assert load_producers(connection, "state").keys() == progress.keys() - {f"ended:{now - 60 * DAY}"}


def test_of_very_many_producers_the_youngest_are_known(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "MOST_PRODUCERS", 3)
    now = time.time_ns() // 1000
    save_producers(connection, "state", [(f"p:{now + k}", Progress(1, now - k)) for k in range(5)])
    assert forget_producers(connection, "state") == 2
    assert load_producers(connection, "state").keys() == {f"p:{now + k}" for k in (2, 3, 4)}


def test_a_producer_at_work_is_known_however_many_began_after_it(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A streamer of last month, and the many passes of a repair since."""
    monkeypatch.setattr(positions, "MOST_PRODUCERS", 3)
    now = time.time_ns() // 1000
    passes = [(f"repair:{now - k * DAY}", Progress(1, now - k * DAY)) for k in range(1, 6)]
    save_producers(connection, "state", [(f"streamer:{now - 60 * DAY}", Progress(9, now)), *passes])
    assert forget_producers(connection, "state") == 3
    kept = {f"streamer:{now - 60 * DAY}", *(name for name, _ in passes[:2])}
    assert load_producers(connection, "state").keys() == kept
