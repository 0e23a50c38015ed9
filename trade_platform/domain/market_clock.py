"""The market's time: the wall clock, or a replay's time at its speed. One value, shared by all processes.

A replay's clock is told to every process as text (``MARKET_CLOCK``), so that all of one host agree:
``origin`` is the market time at the monotonic instant ``anchor`` (seconds; one monotonic clock serves
all processes of a machine).
"""

from __future__ import annotations

import msgspec

from trade_platform.domain.model import MICROSECONDS


class MarketClock(msgspec.Struct, frozen=True):
    """market time = origin + (monotonic − anchor) × speed."""

    origin: int
    """Microseconds UTC."""
    anchor: float
    """Monotonic seconds."""
    speed: float = 1.0

    def at(self, monotonic: float) -> int:
        """Market time, microseconds UTC, at a monotonic instant."""
        return self.origin + round((monotonic - self.anchor) * self.speed * MICROSECONDS)

    def until(self, market_time: int, monotonic: float) -> float:
        """Real seconds from ``monotonic`` until the market reaches ``market_time``; negative when past."""
        return (market_time - self.at(monotonic)) / MICROSECONDS / self.speed

    def to_text(self) -> str:
        """``origin/anchor/speed``, exact."""
        return f"{self.origin}/{self.anchor!r}/{self.speed!r}"

    @classmethod
    def from_text(cls, text: str) -> MarketClock:
        """Inverse of ``to_text``; raises ValueError on anything else."""
        origin, anchor, speed = text.split("/")
        clock = cls(int(origin), float(anchor), float(speed))
        if not clock.speed > 0:
            raise ValueError(f"the speed of a market clock must be above 0, not {clock.speed}")
        return clock
