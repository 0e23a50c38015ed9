"""Since when an account's private messages may be missing. Pure: times are passed in.

An interval of blindness begins with the last message that was heard, less an overlap, and goes on through
any number of connections until all of it was read again.
"""

from __future__ import annotations

from typing import Final

from trade_platform.domain.accounts import Blindness

OVERLAP: Final = 2_000_000
"""Market microseconds: the exchange's clock is not ours, and what it told last may have come out of turn."""


class Sight:
    """Of one account."""

    def __init__(self) -> None:
        self.since: int | None = None
        """Market time; None while nothing is missing."""
        self.reason = ""
        self._lost_at = 0
        """When it last began, or began again."""
        self.heard_at = 0
        """Market time of the last message."""

    @property
    def blind(self) -> bool:
        return self.since is not None

    def heard(self, at: int) -> None:
        """A message came on a connection that was ready."""
        self.heard_at = max(self.heard_at, at)

    def begin(self, since: int, reason: str, now: int) -> Blindness:
        """A process begins: nobody has listened since."""
        self.since, self.reason = since, reason
        return Blindness(since, reason, now)

    def lost(self, reason: str, now: int, heard: int | None = None) -> Blindness | None:
        """The connection ended, or a message was lost; None where the interval before still goes on.

        ``heard``: when that is known to be before the last message.
        """
        self._lost_at = now
        if self.since is not None:
            return None
        last = (self.heard_at if heard is None else min(heard, self.heard_at)) or now
        return self.begin(min(last, now) - OVERLAP, reason, now)

    def restored(self, since: int, until: int, now: int, remark: str = "") -> Blindness | None:
        """All of [since, until) was read again; None where more is missing by now."""
        if self.since is None or self.since < since or self._lost_at >= until:
            return None
        reason = f"{self.reason}; {remark}" if remark else self.reason
        self.since, self.reason = None, ""
        self.heard(until)
        return Blindness(since, reason, now, until)
