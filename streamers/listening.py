"""The time that a session is told: it stands still while we ourselves do not listen.

Where events find no room nothing is read any more, and where the machine is suspended nothing can be: then
an exchange is not silent, it is not heard. Its deadlines must not run.
"""

from __future__ import annotations

STALL_SECONDS = 2.0
"""Between two ticks of a quarter of a second; more, and the process stood still."""


class Listening:
    """A monotonic clock less the time in which nothing was heard."""

    def __init__(self, now: float) -> None:
        self.deaf_seconds = 0.0
        self._at = now

    def tick(self, now: float, *, listening: bool) -> float:
        """The session's time; called often."""
        elapsed, self._at = now - self._at, now
        if not listening or elapsed > STALL_SECONDS:
            self.deaf_seconds += elapsed
        return now - self.deaf_seconds

    def time(self, now: float) -> float:
        """The session's time between two ticks."""
        return now - self.deaf_seconds
