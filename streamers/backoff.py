"""How long to wait before the next connection: a pure rule over endings, without a clock."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.5
FACTOR = 3.0
CAP_SECONDS = 21.0
REFUSED_CAP_SECONDS = 6.0
"""Where the handshake failed, the exchange is away, and it is to be found soon when it is back."""
LONGEST_JITTER_SECONDS = 30.0
"""After days of quiet as well: a fifth of them would be hours."""
HEALTHY_SECONDS = 5.0
"""A connection that delivered data and lived so long was healthy: the delay starts anew after it."""


class Backoff:
    """Grows with every ending, clean or not; only a connection that was healthy takes it back.

    An accepted connection proves nothing: a server that accepts and closes at once sees the attempts
    at 0, 0.5, 2, 6.5, 20 and 41 seconds, and the seventh after the first minute.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self.failures = 0

    def delay_after(
        self,
        *,
        delivered: bool,
        lived_seconds: float,
        at_least: float = 0.0,
        accepted: bool = True,
        waited_seconds: float = 0.0,
    ) -> float:
        """Seconds to wait after a connection ended; jitter only lengthens it.

        ``waited_seconds``: nobody answered for so long, which counts as a part of the pause.
        """
        if delivered and lived_seconds >= HEALTHY_SECONDS:
            self.failures = 0
        exponent = min(self.failures, 10)
        self.failures += 1
        cap = CAP_SECONDS if accepted else REFUSED_CAP_SECONDS
        delay = min(FIRST_SECONDS * FACTOR**exponent, cap)
        pause = max(delay - waited_seconds, FIRST_SECONDS, at_least)
        return pause + min(0.2 * pause, LONGEST_JITTER_SECONDS) * self._jitter()
