"""What an exchange publishes of how often it may be asked, as a value, and the bucket that keeps to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

WEIGHT: Final = "weight"
"""Of REST requests; ``Request.weight`` says how much."""
CONNECTIONS: Final = "connections"
"""Attempts at opening one."""
SUBSCRIBE: Final = "subscribe"
"""Calls over a connection that the host counts, and not each connection for itself."""

BURST: Final = 0.25
"""Part of a window's capacity that may be spent at once."""
STEADY: Final = 0.5
"""Part of it that comes back in the course of a window. Both together stay below all of it: the rest is for
people and other programs, for messages that bunch up on their way, and for the moment in which Redis goes
away and each process keeps to its own share."""
BUCKET_STEADY: Final = 0.8
"""Part of a published refill that is used, where the exchange itself keeps a bucket."""


class Limit(msgspec.Struct, frozen=True):
    """At most ``capacity`` in any ``per_seconds``, from one address."""

    name: str
    capacity: float
    per_seconds: float
    bucket: bool = False
    """The exchange keeps a bucket of this capacity, which refills in so many seconds; else it counts windows,
    in which what was left over and what came back meanwhile must not exceed the capacity together."""

    @property
    def burst(self) -> float:
        """What may be spent at once."""
        return self.capacity * (2 * BURST if self.bucket else BURST)

    @property
    def rate(self) -> float:
        """What comes back per second."""
        return self.capacity / self.per_seconds * (BUCKET_STEADY if self.bucket else STEADY)


class Bucket:
    """Level of one limit on a clock that is passed in; it may be overdrawn, and those who do so wait."""

    def __init__(self, limit: Limit, share: float) -> None:
        self._burst = limit.burst * share
        self._rate = limit.rate * share
        self._level = self._burst
        self._at: float | None = None

    def take(self, cost: float, now: float) -> float:
        """Take it, and say how long to wait before it may be spent."""
        self._refill(now)
        self._level -= cost
        return max(0.0, -self._level / self._rate)

    def lacks(self, cost: float, now: float) -> float:
        """How long until so much is there; nothing is taken."""
        self._refill(now)
        return max(0.0, (min(cost, self._burst) - self._level) / self._rate)

    def note(self, cost: float, now: float) -> None:
        """So much was taken from the bucket that all share: it counts here, and leaves no debt."""
        self._refill(now)
        self._level = max(min(self._level, 0.0), self._level - cost)

    def _refill(self, now: float) -> None:
        if self._at is not None:
            self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now


def by_name(limits: Iterable[Limit]) -> Mapping[str, Limit]:
    """Each name once."""
    return MappingProxyType({limit.name: limit for limit in limits})
