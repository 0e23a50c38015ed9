"""The calls of one private conversation: what waits for its answer, what is asked again, and how often."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from trade_platform.exchanges.deribit.private import signing
from trade_platform.exchanges.deribit.subscribing import ANSWER_SECONDS, FIRST_ID

AGAIN_SECONDS: Final = 5.0
TRIES: Final = 3
"""Of a call that is put off by the exchange, and of a subscription that it leaves out."""


class Call(Enum):
    """What we ask of the exchange, each at most once at a time."""

    LOG_IN = signing.AUTH
    SUBSCRIBE = "private/subscribe"
    RENEW = f"{signing.AUTH} (renewal)"
    CHECK = "private/get_account_summary"
    """Are we still logged in? A login that has lapsed is not told for sure; only silence follows."""


class Pending(msgspec.Struct):
    """A call that waits for its answer."""

    call: Call
    sent_at: float


class Calls:
    """Pure bookkeeping; times are monotonic seconds."""

    def __init__(self) -> None:
        self._pending: dict[object, Pending] = {}
        self._next_id = FIRST_ID
        self._again: dict[Call, float] = {}
        self._tries: dict[Call, int] = {}

    def asked(self, call: Call, now: float) -> int:
        """It is said now; returns its number."""
        number, self._next_id = self._next_id, self._next_id + 1
        self._pending[number] = Pending(call, now)
        return number

    def waiting(self, number: object) -> Call | None:
        """Which call an answer of this number is for."""
        pending = self._pending.get(number)
        return None if pending is None else pending.call

    def answered(self, number: object) -> None:
        """Its answer came and could be read."""
        self._pending.pop(number, None)

    def again(self, call: Call, now: float) -> bool:
        """Make it again in a while; False where that was done often enough."""
        tries = self._tries[call] = self._tries.get(call, 0) + 1
        if tries >= TRIES:
            return False
        self._again[call] = now + AGAIN_SECONDS
        return True

    def forgive(self) -> None:
        """Count tries anew."""
        self._tries.clear()

    def due(self, now: float) -> list[Call]:
        """Calls that are to be made again by now."""
        ready = [call for call, at in self._again.items() if now >= at]
        for call in ready:
            del self._again[call]
        return ready

    def unanswered(self, now: float) -> Call | None:
        """One that should have been answered by now."""
        late = (one.call for one in self._pending.values() if now - one.sent_at > ANSWER_SECONDS)
        return next(late, None)
