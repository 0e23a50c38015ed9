"""Messages that cannot be read: how many a connection may bring, and what of them is told."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.liveness import Subscription

ODD_SECONDS = 60.0
ODD_MESSAGES = 20
"""More messages than these that cannot be read, in so long, and the connection is opened anew."""
ODD_FROM_THE_START = 5
"""As many, and nothing else so far: this is another protocol."""
REPORT_SECONDS = 1.0
PLACES = 50
"""Symbols told apart in one report; what is beyond is told of the connection."""


HEAD_BYTES = 4096
"""Of a message, in which the name of its channel is looked for."""
Place: TypeAlias = tuple[str | None, Channel | None]
"""Symbol and channel that a message belonged to."""
NOWHERE: Final[Place] = (None, None)


class Oddity(msgspec.Struct, frozen=True):
    """Messages in [since, until) that could not be read."""

    symbol: str | None
    channel: Channel | None
    """None where the message did not even say that much."""
    since: int
    until: int
    detail: str


class Oddities:
    """Those of one connection, told once a second at most."""

    def __init__(self, tell: Callable[[Sequence[Oddity]], None]) -> None:
        self.count = 0
        self._tell = tell
        self._times: deque[float] = deque(maxlen=ODD_MESSAGES + 1)
        self._waiting: dict[Place, Oddity] = {}
        self._told_at = -math.inf

    def note(self, error: str, at: int, now: float, place: Place = NOWHERE) -> None:
        """One more came, at a market time."""
        self.count += 1
        self._times.append(now)
        if len(self._waiting) >= PLACES:
            place = NOWHERE
        before = self._waiting.get(place)
        self._waiting[place] = Oddity(*place, before.since if before else at, at + 1, error)
        self.report(now)

    def too_many(self, messages: int) -> bool:
        """Of so many messages in all, too many could not be read."""
        many = len(self._times) > ODD_MESSAGES and self._times[-1] - self._times[0] <= ODD_SECONDS
        return many or self.count == messages == ODD_FROM_THE_START

    def report(self, now: float) -> None:
        """Tell what waits, if it is time."""
        if self._waiting and now - self._told_at >= REPORT_SECONDS:
            waiting, self._waiting, self._told_at = [*self._waiting.values()], {}, now
            self._tell(waiting)


def subscribed_as(message: bytes, subscriptions: Mapping[str, Subscription]) -> Wanted | None:
    """Whose message it was: exchanges write the channel's name into what they send."""
    head = message[:HEAD_BYTES]
    named = max((name for name in subscriptions if name.encode() in head), key=len, default=None)
    return None if named is None else subscriptions[named].wanted
