"""What is known of a silent channel: what it told last, what REST shows, and what became of the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import gt
from typing import Any, Final, Protocol

import msgspec

from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Output, Request

GRACE_SECONDS: Final = 3.0
"""What REST already shows may still be on its way to the socket."""
GONE: Final = object()
"""What a look finds where the instrument does not exist any more."""


class Look(msgspec.Struct, frozen=True):
    """How REST shows the newest that a channel should have delivered."""

    request: Callable[[str, int], Request]
    """Of a symbol, at a market time."""
    newest: Callable[[bytes], Any]
    """A comparable mark of the newest; None where there is nothing that counts, or ``GONE``."""
    moved: Callable[[Any, Any], bool] = gt
    """Whether the first mark is newer than the second."""
    weight: int = 1


class Watch(msgspec.Struct, frozen=True):
    """What the silence of one channel means."""

    look: Look | None = None
    """None: no question can be asked; silence beyond the deadline ends the connection once it delivered."""
    steady_seconds: float | None = None
    """It ticks whatever the market does: when all such are silent for so long, no look is needed."""


class Witness(Protocol):
    """What the session of one exchange knows of its channels."""

    def watch(self, subscription: Subscription) -> Watch | None:
        """None where its silence means nothing (its instrument has ended)."""

    def held(self, subscription: Subscription) -> Any:
        """Mark of the last message, in the form of its look; None where none is kept."""

    def stood(self, subscription: Subscription, mark: Any) -> Sequence[Output]:
        """Where the market stood, by the first look at a channel that has told nothing itself."""

    def traded(self, subscription: Subscription) -> int:
        """How much was ever traded of its symbol, as far as known: the busy ones are asked about first."""

    def is_gone(self, sentence: str) -> bool:
        """Whether a refusal says that the instrument does not exist."""

    def gone(self, subscription: Subscription) -> None:
        """It does not."""


class Answer(msgspec.Struct):
    """What became of one look; an answer that comes too late falls into nothing."""

    asked_at: float
    found: Any = None
    failed: bool = False
    complete: bool = False


class Suspect(msgspec.Struct):
    """One silent channel and what is known of it since its last message."""

    messages: int
    """Count of its messages when the silence began; any other ends the case."""
    baseline: Any
    """Newest mark known to be delivered, or found by the first look."""
    looked: bool = False
    """Whether the baseline is a look's."""
    begun: bool = False
    """A first look wants its second."""
    looked_at: float = 0.0
    next_look: float = 0.0
    answer: Answer | None = None
    moved_at: float | None = None
    failures: int = 0

    def may_be_asked_about(self, now: float) -> bool:
        """Not while an answer is awaited, too early, or when what REST showed may still be on its way."""
        if self.answer is not None or now < self.next_look:
            return False
        return self.moved_at is None or now - self.moved_at >= GRACE_SECONDS


class Case(msgspec.Struct, frozen=True):
    """A channel whose silence is doubtful now."""

    subscription: Subscription
    watch: Watch
    suspect: Suspect
