"""How long to wait before the next connection: a pure rule over endings, without a clock."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.5
FACTOR = 2.5
CAP_SECONDS = 60.0
HEALTHY_SECONDS = 5.0
"""A connection that delivered data and lived so long was healthy: the delay starts anew after it."""


class Backoff:
    """Grows with every ending, clean or not; only a connection that was healthy takes it back.

    An accepted connection proves nothing: a server that accepts and closes at once sees the attempts
    at 0, 0.5, 1.8, 4.9, 12.7 and 32 seconds, and the seventh after the first minute.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self.failures = 0

    def delay_after(self, *, delivered: bool, lived_seconds: float, at_least: float = 0.0) -> float:
        """Seconds to wait after a connection ended; jitter only lengthens it."""
        if delivered and lived_seconds >= HEALTHY_SECONDS:
            self.failures = 0
        exponent = min(self.failures, 10)
        self.failures += 1
        delay = min(FIRST_SECONDS * FACTOR**exponent, CAP_SECONDS)
        return max(delay, at_least) * (1 + 0.2 * self._jitter())
