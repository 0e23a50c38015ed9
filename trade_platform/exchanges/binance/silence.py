"""A thin market or a hung channel? REST is asked before a connection is given up.

A channel is proven hung when the market moved and we were not told: a look by REST finds something
newer than the last that came (trades), or than an earlier look found, and even then what is on its way
gets some seconds to arrive. An acknowledgement proves nothing, nor does a look that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import gt
from typing import Any, Final

import msgspec

from trade_platform.domain.model import Channel
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import (
    Output,
    ProtocolViolation,
    Reason,
    Reconnect,
    Request,
    Rest,
)

RELOOK_SECONDS: Final = 10.0
"""Between two looks at the same silence, and after one that failed."""
GRACE_SECONDS: Final = 5.0
"""What REST already shows may still be on its way to the socket."""
LOST_SECONDS: Final = 60.0
"""A look without an answer for so long has failed."""
WEIGHT_PER_SECOND: Final = 5.0
"""Of the REST budget, per connection: 300 a minute."""
WHOLLY_SILENT_SECONDS: Final = 90.0
"""A connection without one message for so long goes, even if REST cannot say whether it should have any."""


class Look(msgspec.Struct, frozen=True):
    """How REST shows the newest that a channel should have delivered."""

    request: Callable[[str], Request]
    newest: Callable[[bytes], Any]
    """A comparable mark of the newest, or None where there is nothing that counts."""
    moved: Callable[[Any, Any], bool] = gt
    """Whether the first mark is newer than the second."""


class Suspect(msgspec.Struct):
    """One silent channel and what is known of it since its last message."""

    messages: int
    """Count of its messages when the silence began; any other ends the case."""
    baseline: Any
    """Newest mark known to be delivered, or found by the first look."""
    next_look: float = 0.0
    asked_at: float | None = None
    found: Any = None
    answered: bool = False
    failures: int = 0
    moved_at: float | None = None


class Silence:
    """The open cases of one connection."""

    def __init__(
        self,
        looks: Mapping[Channel, Look],
        seen: Callable[[Subscription], Any],
        first_look: Callable[[Subscription, Any], Sequence[Output]],
    ) -> None:
        self._looks = looks
        """A channel that has none is given up at once."""
        self._seen = seen
        self._first_look = first_look
        self._suspects: dict[str, Suspect] = {}
        self._free_at = 0.0
        self._heard = -1
        self._heard_at = 0.0

    def forget(self, name: str) -> None:
        """The channel is no longer subscribed."""
        self._suspects.pop(name, None)

    def judge(
        self, subscriptions: Iterable[Subscription], overdue: Sequence[Subscription], now: float
    ) -> list[Output]:
        """What the silence of these channels asks for."""
        heard = sum(one.messages for one in subscriptions)
        if heard != self._heard:
            self._heard, self._heard_at = heard, now
        outputs: list[Output] = []
        for subscription in overdue:
            outputs += self._case(subscription, now)
            if outputs and isinstance(outputs[-1], Reconnect):
                return outputs
        return outputs

    def _case(self, subscription: Subscription, now: float) -> Sequence[Output]:
        name = subscription.name
        look = self._looks.get(subscription.wanted.channel)
        if look is None:
            return (give_up(subscription),)
        suspect = self._suspects.get(name)
        if suspect is None or suspect.messages != subscription.messages:
            suspect = self._suspects[name] = Suspect(subscription.messages, self._seen(subscription))
        if suspect.moved_at is not None:
            return (give_up(subscription),) if now - suspect.moved_at > GRACE_SECONDS else ()
        if suspect.answered:
            return self._weigh(subscription, suspect, look, now)
        if suspect.asked_at is not None:
            if now - suspect.asked_at > LOST_SECONDS:
                _fail(suspect)
            return ()
        if suspect.failures >= 3 and now - self._heard_at > WHOLLY_SILENT_SECONDS:
            return (Reconnect(Reason.SESSION_SILENT, "no channel delivers and REST does not answer"),)
        if now < max(suspect.next_look, self._free_at):
            return ()
        return (self._ask(subscription, suspect, look, now),)

    def _ask(self, subscription: Subscription, suspect: Suspect, look: Look, now: float) -> Rest:
        request = look.request(subscription.wanted.symbol)
        suspect.asked_at = now
        suspect.next_look = now + RELOOK_SECONDS
        self._free_at = now + request.weight / WEIGHT_PER_SECOND

        def parse(body: bytes) -> Sequence[Output]:
            try:
                suspect.found = look.newest(body)
            except ProtocolViolation:
                _fail(suspect)
            else:
                suspect.answered = True
            return ()

        def failed(_sentence: str) -> Sequence[Output]:
            _fail(suspect)
            return ()

        return Rest(request, parse, failed)

    def _weigh(
        self, subscription: Subscription, suspect: Suspect, look: Look, now: float
    ) -> Sequence[Output]:
        """Compare what the look found with what is known to have been delivered."""
        found, suspect.found, suspect.answered, suspect.asked_at = suspect.found, None, False, None
        suspect.failures = 0
        if found is None:
            subscription.excuse(now)
        elif suspect.baseline is None:
            suspect.baseline = found
            return self._first_look(subscription, found)
        elif look.moved(found, suspect.baseline):
            suspect.moved_at = now
        else:
            subscription.excuse(now)
        return ()


def _fail(suspect: Suspect) -> None:
    suspect.failures += 1
    suspect.asked_at = None


def give_up(subscription: Subscription) -> Reconnect:
    """The end of a connection because of one channel."""
    reason = Reason.CHANNEL_SILENT if subscription.messages else Reason.NEVER_DELIVERED
    return Reconnect(reason, subscription.name)


def look_at(
    path: str,
    weight: int,
    newest: Callable[[bytes], Any],
    moved: Callable[[Any, Any], bool] = gt,
    **query: str | int,
) -> Look:
    """A look by a GET whose only variable is the symbol."""

    def request(symbol: str) -> Request:
        return Request(path=path, query={"symbol": symbol, **query}, weight=weight)

    return Look(request, newest, moved)
