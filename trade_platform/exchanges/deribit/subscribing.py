"""Calls to the exchange: what to subscribe, paced, and what became of it.

The exchange lists in its answer what it really subscribed and leaves out the rest without a word. What
is left out is asked for once more; then it counts as refused and is asked for again at long intervals
only, on the same connection: an instrument that has expired must not cost the others theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from trade_platform.exchanges.deribit import channels, wire
from trade_platform.exchanges.session import Turn

PACE_SECONDS: Final = 0.4
"""Between calls of a connection; the exchange refills 3.3 subscribe calls a second per address."""
ANSWER_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 1.0
TRANSIENT_SECONDS: Final = 5.0
REFUSED_SECONDS: Final = 600.0

TEST_ID: Final = 8
HEARTBEAT_ID: Final = 9
FIRST_ID: Final = 10
SUBSCRIBE: Final = "public/subscribe"
UNSUBSCRIBE: Final = "public/unsubscribe"

TRANSIENT: Final = frozenset({10040, 10041, 10047, 10050, 10066, 11056, 11094, 13028, 13503, 13888})
"""settlement_in_progress, retry, temporarily_unavailable and their like: the same call later."""


class Call(msgspec.Struct):
    """One call to make, or made."""

    method: str
    names: tuple[str, ...]
    wait_seconds: float = 0.0
    ready_at: float | None = None
    sent_at: float = 0.0
    turn: Turn = msgspec.field(default_factory=Turn)


class Calls:
    """The subscribe and unsubscribe calls of one connection."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        """Channels that the exchange would not subscribe."""
        self._wanted: set[str] = set()
        self._doubtful: set[str] = set()
        """Left out of one answer already."""
        self._queue: list[Call] = []
        self._pending: dict[object, Call] = {}
        self._next_id = FIRST_ID
        self._next_at = 0.0

    def subscribe(self, names: Iterable[str]) -> None:
        """Queue calls that subscribe these channels."""
        new = list(names)
        self._wanted.update(new)
        self._ask(new, 0.0)

    def unsubscribe(self, names: Iterable[str], *, requested: Iterable[str]) -> None:
        """Drop what is known of these channels; tell the exchange of those that were requested."""
        gone = set(names)
        self._wanted -= gone
        self.refused -= gone
        self._doubtful -= gone
        for one in self._queue:
            if one.method == SUBSCRIBE:
                one.names = tuple(name for name in one.names if name not in gone)
        self._queue = [one for one in self._queue if one.names]
        self._queue += [Call(UNSUBSCRIBE, batch) for batch in channels.batches(requested)]

    def due(self, now: float) -> tuple[Call, str] | None:
        """The call to make by now, with its text; at most one, because calls are paced."""
        for one in self._queue:
            if one.ready_at is None:
                one.ready_at = now + one.wait_seconds
        if now < self._next_at:
            return None
        ready = next((one for one in self._queue if one.ready_at is not None and one.ready_at <= now), None)
        if ready is None:
            return None
        self._queue.remove(ready)
        ready.sent_at = now
        self._next_at = now + PACE_SECONDS
        number, self._next_id = self._next_id, self._next_id + 1
        self._pending[number] = ready
        return ready, wire.call(number, ready.method, channels=ready.names)

    def unanswered(self, now: float) -> Call | None:
        """A call that should have been answered by now; not one that we have not even said yet."""
        for one in self._pending.values():
            if one.turn.waiting:
                one.sent_at = now
        return next((one for one in self._pending.values() if now - one.sent_at > ANSWER_SECONDS), None)

    def asked(self, number: object) -> bool:
        """Whether a call with this id waits for its answer."""
        return number in self._pending

    def answered(self, number: object, subscribed: Iterable[str]) -> set[str]:
        """Compare what was asked with what the answer lists; returns what is subscribed of it."""
        call = self._pending.pop(number)
        if call.method != SUBSCRIBE:
            return set()
        held = set(subscribed).intersection(call.names)
        self.refused -= held
        self._doubtful -= held
        left_out = [name for name in call.names if name not in held and name in self._wanted]
        self._refuse([name for name in left_out if name in self._doubtful])
        again = [name for name in left_out if name not in self._doubtful]
        self._doubtful.update(again)
        self._ask(again, AGAIN_SECONDS)
        return held

    def failed(self, number: object, code: int) -> None:
        """The whole call was refused: later where the reason passes, else find out which channel it was."""
        call = self._pending.pop(number)
        if call.method != SUBSCRIBE:
            return
        if code in TRANSIENT:
            self._ask(call.names, TRANSIENT_SECONDS)
        elif len(call.names) == 1:
            self._refuse(call.names)
        else:
            half = len(call.names) // 2
            self._ask(call.names[:half], 0.0)
            self._ask(call.names[half:], 0.0)

    def _refuse(self, names: Iterable[str]) -> None:
        refused = [name for name in names if name in self._wanted]
        self.refused.update(refused)
        self._doubtful.update(refused)
        self._ask(refused, REFUSED_SECONDS)

    def _ask(self, names: Iterable[str], wait_seconds: float) -> None:
        wanted = [name for name in names if name in self._wanted]
        self._queue += [Call(SUBSCRIBE, batch, wait_seconds) for batch in channels.batches(wanted)]
