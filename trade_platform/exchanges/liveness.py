"""Is a subscription alive? Pure bookkeeping on a monotonic clock that is passed in.

A subscription is live when its first data came, not when it was acknowledged. Heartbeats are not data.
On the hot path a message costs one increment (``messages``); silence is found by comparing counters at
each ``note``, so its resolution is the caller's tick. There, too, a subscription learns how often its
data come: what speaks every second is doubted after seconds, what speaks once an hour is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from trade_platform.domain.selection import Wanted

FIRST_SECONDS: Final = 3.0
"""After so long a channel from which data is demanded, and that never delivered, is doubted."""
SOONEST_SECONDS: Final = 4.0
"""No other silence is doubted earlier."""
MEANS: Final = 4.0
"""Silence is doubted after so many mean gaps: one gap of fifty is longer where traffic is random."""
MEMORY: Final = 16
"""Ticks with data over which the mean gap is formed."""
PRESUMED_GAP_SECONDS: Final = 2.0
"""Of a channel from which data is demanded, until it has shown its own."""


class Subscription(msgspec.Struct, kw_only=True):
    """One channel of one connection and what is known of its health."""

    name: str
    """The exchange's own channel name."""
    wanted: Wanted
    deadline_seconds: float | None = None
    """Longest silence that needs no explanation; None where only the market decides."""
    patience_seconds: float | None = None
    """The same for doubts alone, where no data is demanded."""
    requested_at: float | None = None
    acknowledged: bool = False
    acknowledged_at: float | None = None
    """When ``note`` saw it first."""
    quiet: bool = False
    """A probe showed that the market has nothing newer than we do."""
    messages: int = 0
    newest: Any = None
    """The last message, where the session keeps it for comparison."""
    last_seen: float | None = None
    """Monotonic time of the last data (or of the probe that excused its absence)."""
    mean_gap: float | None = None
    """Learnt: seconds between ticks with data, exponentially weighted; None before the first data."""
    _data_at: float | None = None
    _counted: int = 0
    _gaps: int = 0

    @property
    def live(self) -> bool:
        """First data came, or a probe showed that there is none to come, or none is demanded."""
        return self.messages > 0 or self.quiet or (self.acknowledged and self.deadline_seconds is None)

    @property
    def doubt_seconds(self) -> float | None:
        """Silence after which REST is asked: learnt, between the soonest and the longest; None for never."""
        longest = self.deadline_seconds or self.patience_seconds
        if longest is None:
            return None
        if self.mean_gap is not None:
            return min(longest, max(SOONEST_SECONDS, MEANS * self.mean_gap))
        return longest if self.deadline_seconds is None else min(longest, FIRST_SECONDS)

    @property
    def expected_gap(self) -> float:
        """Seconds between ticks with data: learnt, or presumed by whether data is demanded."""
        if self.mean_gap is not None:
            return self.mean_gap
        presumed = self.patience_seconds if self.deadline_seconds is None else None
        return PRESUMED_GAP_SECONDS if presumed is None else presumed / MEANS

    def requested(self, now: float) -> None:
        """A subscribe message was sent: the deadline of the first data runs from here."""
        self.requested_at = self.last_seen = now

    def excuse(self, now: float) -> None:
        """A probe found nothing newer than what we hold: silence starts anew, and is doubted later."""
        self.quiet = True
        self.last_seen = now
        self.mean_gap = max(self.expected_gap, self.silent_seconds(now) / MEANS)

    def age(self, now: float) -> float | None:
        """Seconds since the last data or excuse as of the last ``note``; None before the request."""
        return None if self.last_seen is None else now - self.last_seen

    def silent_seconds(self, now: float) -> float:
        """Seconds without data, excused or not: since the last, the acknowledgement or the request."""
        known = (self._data_at, self.acknowledged_at, self.requested_at)
        return next((now - since for since in known if since is not None), 0.0)

    def note(self, now: float) -> None:
        """Take up what arrived since the last call."""
        if self.messages != self._counted:
            self._counted = self.messages
            self._learn(now)
            self._data_at = self.last_seen = now
            self.quiet = False
        if self.acknowledged and self.acknowledged_at is None and self.last_seen is not None:
            self.acknowledged_at = now
            if self._data_at is None:
                self.last_seen = now

    def _learn(self, now: float) -> None:
        self.mean_gap = self.expected_gap
        if self._data_at is not None:  # the first gap replaces what was presumed
            self._gaps = min(self._gaps + 1, MEMORY)
            self.mean_gap += (now - self._data_at - self.mean_gap) / self._gaps

    def overdue(self, now: float) -> bool:
        """Note what arrived since the last call, then say whether the silence is too long."""
        self.note(now)
        age = self.age(now)
        return age is not None and self.deadline_seconds is not None and age > self.deadline_seconds

    def doubtful(self, now: float) -> bool:
        """Likewise, by what this channel has shown so far."""
        self.note(now)
        limit, age = self.doubt_seconds, self.age(now)
        return limit is not None and age is not None and age > limit


def overdue(subscriptions: Iterable[Subscription], now: float) -> Iterator[Subscription]:
    """Those whose silence is too long, each noted up to ``now``."""
    return (subscription for subscription in list(subscriptions) if subscription.overdue(now))
