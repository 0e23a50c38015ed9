"""Is a subscription alive? Pure bookkeeping on a monotonic clock that is passed in.

A subscription is live when its first data came, not when it was acknowledged. Heartbeats are not data.
On the hot path a message costs one increment (``messages``); silence is found by comparing counters at
each ``overdue`` call, so its resolution is the caller's tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from trade_platform.domain.selection import Wanted


class Subscription(msgspec.Struct, kw_only=True):
    """One channel of one connection and what is known of its health."""

    name: str
    """The exchange's own channel name."""
    wanted: Wanted
    deadline_seconds: float | None = None
    """Longest silence that needs no explanation; None where only the market decides."""
    requested_at: float | None = None
    acknowledged: bool = False
    quiet: bool = False
    """A probe showed that the market has nothing newer than we do."""
    messages: int = 0
    last_seen: float | None = None
    """Monotonic time of the last data (or of the probe that excused its absence)."""
    _counted: int = 0

    @property
    def live(self) -> bool:
        """First data came, or a probe showed that there is none to come, or none is demanded."""
        return self.messages > 0 or self.quiet or (self.acknowledged and self.deadline_seconds is None)

    def requested(self, now: float) -> None:
        """A subscribe message was sent: the deadline of the first data runs from here."""
        self.requested_at = self.last_seen = now

    def excuse(self, now: float) -> None:
        """A probe found nothing newer than what we hold: silence starts anew."""
        self.quiet = True
        self.last_seen = now

    def age(self, now: float) -> float | None:
        """Seconds since the last data as of the last ``overdue`` call; None before the request."""
        return None if self.last_seen is None else now - self.last_seen

    def overdue(self, now: float) -> bool:
        """Note what arrived since the last call, then say whether the silence is too long."""
        if self.messages != self._counted:
            self._counted = self.messages
            self.last_seen = now
            self.quiet = False
        age = self.age(now)
        return age is not None and self.deadline_seconds is not None and age > self.deadline_seconds


def overdue(subscriptions: Iterable[Subscription], now: float) -> Iterator[Subscription]:
    """Those whose silence is too long, each noted up to ``now``."""
    return (subscription for subscription in list(subscriptions) if subscription.overdue(now))
