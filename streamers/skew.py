"""How far the exchange's clock is from ours, seen from the stamps of what it sends."""

from __future__ import annotations

from trade_platform.domain.model import MICROSECONDS

WINDOW_SECONDS = 60.0
NOTABLE_SECONDS = 5.0
"""A difference that a person should know of; whatever is slower to arrive is no clock's fault."""


class ClockSkew:
    """The exchange's time less ours, in seconds: the greatest of the last window.

    What is on its way makes a stamp look older than it is, never younger, so the greatest is the nearest.
    """

    def __init__(self) -> None:
        self._begun = 0.0
        self._now: float | None = None
        self._before: float | None = None

    def note(self, event_time: int, receive_time: int, now: float) -> None:
        """A stamp, and when it came."""
        seen = (event_time - receive_time) / MICROSECONDS
        if self._now is None or now - self._begun >= WINDOW_SECONDS:
            self._before, self._now, self._begun = self._now, seen, now
        elif seen > self._now:
            self._now = seen

    @property
    def seconds(self) -> float | None:
        """Of the last full window, or of the first; None where nothing came."""
        return self._now if self._before is None else self._before

    @property
    def notable(self) -> bool:
        """Somebody's clock is wrong."""
        return self.seconds is not None and abs(self.seconds) > NOTABLE_SECONDS
