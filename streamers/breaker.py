"""Who may try a host of which it is not known whether it is well.

Each feed has a pause of its own between its connections. But several feeds of one exchange would together
try a host that is ill as often as all their pauses allow. So while none of them has a connection that
delivers, one goes first, after a pause that all endings since have made longer; the others follow when it has
brought data, or has stood for a while.
"""

from __future__ import annotations

import msgspec

from streamers.backoff import Backoff

STANDING_SECONDS = 2.0
"""A connection that stands so long is none that is closed as soon as it is accepted: the next may follow."""
LOOK_SECONDS = 0.25
"""How often those who wait look again."""


class Breaker:
    """The pauses of one host, shared by its feeds; time is passed in. Feeds are known by their names."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._well: set[str] = set()
        """Feeds whose connection has delivered."""
        self._waiting: dict[str, None] = {}
        self._first: _Attempt | None = None
        self._next_at = 0.0

    def pause(self, name: str, now: float) -> float:
        """0: go ahead, it is noted as an attempt; else ask again after so many seconds."""
        if self._well:
            self._waiting.pop(name, None)
            return 0.0
        self._waiting[name] = None
        if now < self._next_at:
            return min(self._next_at - now, LOOK_SECONDS)
        under_way = self._first is not None and now - self._first.at < STANDING_SECONDS
        if under_way or next(iter(self._waiting)) != name:
            return LOOK_SECONDS
        del self._waiting[name]
        self._first = _Attempt(name, now)
        return 0.0

    def delivers(self, name: str) -> None:
        """A connection of this feed brought data: the host is well."""
        self._well.add(name)

    def ended(
        self,
        name: str,
        now: float,
        *,
        delivered: bool,
        lived_seconds: float,
        at_least: float = 0.0,
        accepted: bool = True,
        waited_seconds: float = 0.0,
    ) -> None:
        """A connection ended. What happens to one feed while others are well is its own affair."""
        self._well.discard(name)
        if self._first is not None and self._first.name == name:
            self._first = None
        if self._well:
            return
        pause = self._backoff.delay_after(
            delivered=delivered,
            lived_seconds=lived_seconds,
            at_least=at_least,
            accepted=accepted,
            waited_seconds=waited_seconds,
        )
        self._next_at = max(self._next_at, now + pause)

    def hurry(self) -> None:
        """The exchange is open again: no pause, but still one before the others."""
        self._next_at = 0.0

    def forget(self, name: str) -> None:
        """The feed is stopped: nobody is to wait for it."""
        self._well.discard(name)
        self._waiting.pop(name, None)
        if self._first is not None and self._first.name == name:
            self._first = None


class _Attempt(msgspec.Struct, frozen=True):
    name: str
    at: float
