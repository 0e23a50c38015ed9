from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from trade_platform.adapters import budget as budget_module
from trade_platform.adapters.budget import Budget, Quiet
from trade_platform.adapters.embedded import Server
from trade_platform.exchanges.limits import Limit

LIMIT = Limit("weight", 80, 1.0)  # 20 at once, 40 a second
PROCESSES, TAKES = 4, 20

PROCESS = """
import asyncio, sys
from redis import Redis
from trade_platform.adapters.budget import Budget
from trade_platform.exchanges.limits import Limit

async def main(url, takes):
    limit = Limit("weight", 80, 1.0)
    async with Budget("fictional", [limit], redis_url=url) as budget:
        with Redis.from_url(url, socket_timeout=None) as redis:
            redis.rpush("ready", 1)
            redis.blpop("go")
        for _ in range(takes):
            await budget.take("weight")
        assert budget.shared

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def budget(redis_url: str = "", *limits: Limit, **options: object) -> Budget:
    return Budget("fictional", limits or (LIMIT,), redis_url=redis_url, **options)  # type: ignore[arg-type]


def seconds_of(redis: Redis) -> float:
    seconds, microseconds = redis.time()
    return int(seconds) + int(microseconds) / 1e6


async def test_several_processes_together_never_spend_more_than_the_limit(redis_url: str) -> None:
    command = [sys.executable, "-c", PROCESS, redis_url, str(TAKES)]
    with Redis.from_url(redis_url, socket_timeout=None) as redis:
        processes = [subprocess.Popen(command) for _ in range(PROCESSES)]  # noqa: ASYNC220
        for _ in processes:
            assert redis.blpop("ready", timeout=60)
        began = seconds_of(redis)
        redis.rpush("go", *range(PROCESSES))
        assert [process.wait(60) for process in processes] == [0] * PROCESSES
        took = seconds_of(redis) - began
    assert LIMIT.burst + LIMIT.rate * took >= PROCESSES * TAKES


async def test_takes_by_redis_are_spaced_as_the_limit_demands(redis_url: str) -> None:
    async with budget(redis_url) as one, budget(redis_url) as other:
        assert [(await one.ask("weight", 10)).taken for _ in range(3)] == [True, True, False]
        refused = await other.ask("weight", 10)
        assert not refused.taken
        assert 0 < refused.wait_seconds <= 10 / LIMIT.rate
        reserved = await other.ask("weight", 10, reserve=True)
        assert reserved.taken
        assert 0 < reserved.wait_seconds <= 10 / LIMIT.rate
        behind = await one.ask("weight", 10, reserve=True)
        assert behind.wait_seconds > reserved.wait_seconds


async def test_a_limit_that_is_not_published_or_left_out_is_none(redis_url: str) -> None:
    async with budget(redis_url, unlimited=True) as without, budget(redis_url) as one:
        for _ in range(100):
            assert (await without.ask("weight", 10)).taken
            assert (await one.ask("connections", 10)).taken
        assert not one.shared  # Redis was not even asked


async def test_quiet_is_heard_by_all_and_only_where_it_was_asked_for(redis_url: str) -> None:
    connections = Limit("connections", 80, 1.0)
    async with (
        budget(redis_url, LIMIT, connections) as one,
        budget(redis_url, LIMIT, connections) as other,
    ):
        await one.be_quiet(100, "weight")
        await one.be_quiet(50, "weight")  # a shorter one takes nothing back
        answer = await other.ask("weight")
        assert not answer.taken
        assert 98 < answer.quiet_seconds <= 100
        assert (await other.ask("connections")).taken
        with pytest.raises(Quiet):
            await other.take("weight", patience_seconds=30)
        await other.be_quiet(100)
        assert not (await one.ask("connections")).taken


async def test_quiet_that_ends_is_waited_for(redis_url: str) -> None:
    async with budget(redis_url) as one:
        await one.be_quiet(0.05)
        began = time.monotonic()
        await one.take("weight")
        assert time.monotonic() - began >= 0.05


async def test_without_redis_each_process_keeps_to_its_share() -> None:
    now = 0.0
    async with budget(share=0.25, monotonic=lambda: now) as one:
        assert [(await one.ask("weight")).taken for _ in range(6)] == [True] * 5 + [False]
        now = 0.1
        assert [(await one.ask("weight")).taken for _ in range(2)] == [True, False]
        assert (await one.ask("weight", 2, reserve=True)).wait_seconds == pytest.approx(0.2)


async def test_redis_goes_and_comes_back_and_hears_what_was_spent_meanwhile(
    redis_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Limit("weight", 400, 100_000.0)  # 100 at once, and nothing to speak of after that
    server = redis_server()
    async with budget(server.url, slow) as one, budget(server.url, slow) as other:
        assert (await one.ask("weight", 60)).taken
        server.kill()
        began = time.monotonic()
        assert (await other.ask("weight", 25)).taken  # its share of the burst
        assert time.monotonic() - began < 1
        assert not other.shared
        assert not (await other.ask("weight", 25)).taken
        assert not (await one.ask("weight", 1)).taken  # it has had more than its share already
        server = redis_server()
        monkeypatch.setattr(budget_module, "AGAIN_SECONDS", 0.0)
        one._away_until = other._away_until = 0.0
        answer = await other.ask("weight", 20)
        assert other.shared
        assert not answer.taken or not (await one.ask("weight", 20)).taken  # 60 and 25 of 100 are gone


async def test_a_redis_that_forgot_begins_where_somebody_remembers(redis_url: str) -> None:
    slow = Limit("weight", 400, 100_000.0)
    async with budget(redis_url, slow) as one:
        assert (await one.ask("weight", 90)).taken
        with Redis.from_url(redis_url) as redis:
            redis.flushdb()
        assert not (await one.ask("weight", 20)).taken
        assert (await one.ask("weight", 5)).taken


async def test_a_redis_that_hangs_costs_half_a_second_and_not_for_every_take(
    redis_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(budget_module, "AGAIN_SECONDS", 3600.0)
    server = redis_server()
    async with budget(server.url) as one:
        await one.ask("weight")
        import os
        import signal

        os.kill(server.pid, signal.SIGSTOP)
        try:
            answers = await asyncio.gather(*(one.ask("weight") for _ in range(4)))
            assert all(answer.taken for answer in answers)
            assert not one.shared
        finally:
            os.kill(server.pid, signal.SIGCONT)


async def test_nothing_in_the_loop_stands_still_while_somebody_waits(redis_url: str, tmp_path: Path) -> None:
    async with budget(redis_url) as one:
        assert (await one.ask("weight", 20)).taken
        ticks = 0
        waiting = asyncio.create_task(one.take("weight", 4))
        while not waiting.done():
            ticks += 1
            await asyncio.sleep(0)
        assert ticks > 10
