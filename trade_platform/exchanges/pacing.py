"""How often one connection may ask REST about its silences."""

from __future__ import annotations


class Pace:
    """A bucket of request weight that refills evenly: a burst when silence falls, a trickle afterwards."""

    def __init__(self, *, weight_per_second: float, burst: float) -> None:
        self._rate = weight_per_second
        self._burst = burst
        self._held = burst
        self._at: float | None = None

    def allows(self, weight: float, now: float, *, keep: float = 0.0) -> bool:
        """Whether so much may be spent now and this part of the burst is left; if it is full, anything."""
        if self._at is not None:
            self._held = min(self._burst, self._held + max(0.0, now - self._at) * self._rate)
        self._at = now
        return self._held >= min(weight + keep * self._burst, self._burst)

    def take(self, weight: float, now: float, *, keep: float = 0.0) -> bool:
        """Spend it if it is allowed."""
        if not self.allows(weight, now, keep=keep):
            return False
        self._held -= weight
        return True
