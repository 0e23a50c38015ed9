from __future__ import annotations

import time

from trade_platform.adapters.clock import ReplayClock, WallClock, clock_from_text
from trade_platform.domain.market_clock import MarketClock


def test_without_a_text_it_is_the_wall_clock() -> None:
    clock = clock_from_text("")
    assert isinstance(clock, WallClock)
    before = time.time_ns() // 1000
    assert before <= clock.market() <= time.time_ns() // 1000


def test_a_replay_runs_from_its_origin_at_its_speed() -> None:
    told = MarketClock(origin=1_000_000, anchor=time.monotonic(), speed=20.0)
    clock = clock_from_text(told.to_text())
    assert isinstance(clock, ReplayClock)
    before = clock.monotonic()
    now = clock.market()
    assert told.at(before) <= now <= told.at(clock.monotonic())
