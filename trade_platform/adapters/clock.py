"""Where time is read. Composition roots make one Clock and hand it on; nobody else asks the machine."""

from __future__ import annotations

import time
from typing import Protocol

from trade_platform.domain.market_clock import MarketClock


class Clock(Protocol):
    def market(self) -> int:
        """Market time, integer microseconds UTC: what records are stamped with."""

    def monotonic(self) -> float:
        """Real seconds that never jump: what deadlines are measured with."""


class WallClock:
    """Market time is the machine's UTC clock."""

    def market(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


class ReplayClock:
    """Market time is a replay's, at its speed."""

    def __init__(self, market_clock: MarketClock) -> None:
        self.market_clock = market_clock

    def market(self) -> int:
        return self.market_clock.at(time.monotonic())

    def monotonic(self) -> float:
        return time.monotonic()


def clock_from_text(text: str) -> Clock:
    """The clock that the MARKET_CLOCK setting names; empty text is the wall clock."""
    return ReplayClock(MarketClock.from_text(text)) if text else WallClock()
