from __future__ import annotations

import pytest

from streamers.approach import Approach
from streamers.backoff import Backoff
from streamers.breaker import Breaker
from streamers.ending import Ending
from trade_platform.adapters.budget import Budget
from trade_platform.domain.defences import Defence
from trade_platform.exchanges.limits import CONNECTIONS, SUBSCRIBE, WEIGHT, Limit
from trade_platform.exchanges.session import Reason

LIMITS = (Limit(CONNECTIONS, 4, 100.0), Limit(SUBSCRIBE, 10, 3.0), Limit(WEIGHT, 100, 60.0))


class Time:
    """A clock that moves when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def market(self) -> int:
        return 0

    async def wait(self, seconds: float) -> None:
        self.now += seconds


def approach(time: Time, breaker: Breaker, budget: Budget, name: str = "a", *without: Defence) -> Approach:
    return Approach(name, breaker, budget, time, backoff=Backoff(lambda: 0), without=frozenset(without))


def budget_of(time: Time) -> Budget:
    return Budget("fictional", LIMITS, share=1.0, monotonic=time.monotonic)


async def test_attempts_keep_to_the_exchange_s_limit() -> None:
    time = Time()
    feed = approach(time, Breaker(), budget_of(time))
    feed.delivers()  # so that only the limit holds it back: one at once, one every fifty seconds
    for _ in range(3):
        await feed.turn(time.wait, lambda: False)
    assert 100 <= time.now < 110
    assert not await feed.admits()


async def test_feeds_of_one_host_take_turns_until_one_delivers() -> None:
    time = Time()
    breaker = Breaker(Backoff(lambda: 0))
    budget = Budget("fictional", (), monotonic=time.monotonic)
    first, second = (approach(time, breaker, budget, name) for name in ("a", "b"))
    await first.turn(time.wait, lambda: False)
    assert time.now == 0
    first.pause_after(Ending(Reason.CLOSED))
    await second.turn(time.wait, lambda: False)
    assert 0.5 <= time.now < 1


async def test_a_stop_ends_the_waiting() -> None:
    time = Time()
    feed = approach(time, Breaker(), budget_of(time))
    await feed.turn(time.wait, lambda: False)
    feed.pause_after(Ending(Reason.CLOSED))
    await feed.turn(time.wait, lambda: True)
    assert time.now == 0


@pytest.mark.parametrize("banned", [False, True])
async def test_quiet_that_a_host_asks_for_holds_for_connections_and_a_ban_for_all(banned: bool) -> None:
    time = Time()
    budget = budget_of(time)
    feed = approach(time, Breaker(), budget)
    await feed.heed(Ending(Reason.CLOSED, after_seconds=7))
    assert not budget.quiet_seconds(CONNECTIONS)
    await feed.heed(Ending(Reason.RATE_LIMITED, after_seconds=40, banned=banned))
    assert budget.quiet_seconds(CONNECTIONS) == budget.quiet_seconds(SUBSCRIBE) == 40
    assert bool(budget.quiet_seconds(WEIGHT)) is banned
    await feed.turn(time.wait, lambda: False)
    assert time.now >= 40


async def test_without_backoff_there_is_no_pause() -> None:
    time = Time()
    feed = approach(time, Breaker(), Budget("fictional", ()), "a", Defence.BACKOFF)
    for _ in range(5):
        await feed.turn(time.wait, lambda: False)
        assert feed.pause_after(Ending(Reason.CLOSED)) == 0
    assert time.now == 0


def test_a_feed_that_is_stopped_takes_nothing_from_the_one_that_follows_under_its_name() -> None:
    breaker = Breaker()
    old, new = (Approach("market-0", breaker, Budget("fictional", ()), Time()) for _ in range(2))
    new.delivers()
    old.forget()
    assert [breaker.pause(name, 0.0) for name in ("market-1", "market-2")] == [0.0, 0.0]
