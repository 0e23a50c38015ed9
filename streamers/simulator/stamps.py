"""The exchange's own clock, from which every stamp comes: it can be wrong, but it never goes back."""

from __future__ import annotations


class Stamps:
    """True market time in, what the exchange shows out; microseconds UTC.

    A clock that is set back stands still until time has caught up, so that stamps, minutes and sequences
    agree with each other whatever happens to the clock.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.wrong = 0
        """How many stamps were not the true time."""
        self._last = 0

    def __call__(self, time: int) -> int:
        """The stamp of what happens at ``time``."""
        self._last = self.peek(time)
        self.wrong += self._last != time
        return self._last

    def peek(self, time: int) -> int:
        """What the clock shows at ``time``; nothing happens."""
        return max(self._last, time + self.offset)
