"""The host's clock stands days behind: nothing is refused for ever, and odd records still are."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from redis import Redis

from tests.processors.feeding import NOON, entry, kline, number, tables, trade, until
from tests.processors.test_engine import engine, plan
from tests.processors.test_isolation import add, made_drain
from trade_platform.adapters.database.connection import ClockBehind, Connection
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import DAY
from trade_platform.processors.drain import Drain

NOW = NOON - 15 * DAY


def test_a_batch_of_the_far_future_waits_until_the_clock_is_right(
    connection: Connection, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quotes without a time of their own are stamped by the wrong clock; they say nothing."""
    today = day_of(NOW)
    monkeypatch.setattr(Drain, "_today", lambda _: today)
    drain = made_drain(connection, postgres_url, redis_url)
    klines = [kline(receive_time=NOW), kline(closed=False, receive_time=NOW)]
    add(redis_url, entry([trade(1), trade(2)]), entry([number(NOW)], 2), entry(klines, 3))
    for _ in range(2):
        with pytest.raises(ClockBehind, match=f"{day_of(NOON)} lies more than 14 days ahead"):
            drain.turn()
    found = tables(connection)
    assert (found["trade"], found["number"], found["dead_letter"]) == ([], [], [])
    assert drain.lane.position == "0-0"
    today = day_of(NOON)
    drain.turn()
    found = tables(connection)
    assert (len(found["trade"]), len(found["number"]), found["dead_letter"]) == (2, 1, [])
    drain.close()


def test_an_odd_record_that_came_alone_is_refused_as_soon_as_others_come(
    connection: Connection, postgres_url: str, redis_url: str
) -> None:
    drain = made_drain(connection, postgres_url, redis_url)
    add(redis_url, entry([trade(1, NOON + 3000 * DAY)]))
    with pytest.raises(ClockBehind):
        drain.turn()
    add(redis_url, entry([trade(2)], 2))
    drain.turn()
    found = tables(connection)
    assert ([row[2] for row in found["trade"]], len(found["dead_letter"])) == ([2], 1)
    drain.close()


def test_the_engine_says_so_waits_and_goes_on(
    postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    today: list[date] = [day_of(NOW)]
    monkeypatch.setattr(Drain, "_today", lambda _: today[0])
    add(redis_url, entry([trade(1)]))
    one = engine(plan(postgres_url, redis_url))
    thread = threading.Thread(target=one.run)
    thread.start()
    until(lambda: "The clock cannot be used: it seems wrong" in one.health().reason, "the clock is doubted")
    today[0] = day_of(NOON)
    until(lambda: one.health().ok, "it goes on")
    one.stopping.set()
    thread.join(30)
    with Redis.from_url(redis_url) as client:
        [newest] = client.xrevrange(plan("").stream, count=1)
    assert one.health().details["position"] == newest[0].decode()
