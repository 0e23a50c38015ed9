"""Who hears which stream: conversations join, frames are queued, then handed to everyone subscribed.

A frame is queued while the market moves and handed out only when the ledger is flushed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, TypeAlias


class Say(NamedTuple):
    """Write this text."""

    text: str


class Fragments(NamedTuple):
    """Write this text as one message in several frames."""

    text: str


class Ping(NamedTuple):
    """Send a PING frame with this payload."""

    payload: bytes


class Close(NamedTuple):
    """Close the connection with this code."""

    code: int
    reason: str = ""


class Abort(NamedTuple):
    """Drop the connection without a word."""


Instruction: TypeAlias = Say | Fragments | Ping | Close | Abort


class Frame(NamedTuple):
    """What one stream says."""

    stream: str
    data: str
    """JSON text of the payload."""
    prints: bool = False
    """It carries trades."""


class Conversation(Protocol):
    """The server half of one connection: text and real seconds in, instructions out."""

    streams: dict[str, bool]
    """Stream names that it asked for → whether this connection can ever deliver them."""

    def opened(self, now: float) -> list[Instruction]: ...

    def receive(self, text: str, now: float) -> list[Instruction]: ...

    def ponged(self, payload: bytes, now: float) -> list[Instruction]: ...

    def pinged(self, now: float) -> list[Instruction]:
        """The client sent a PING frame (the carrier answers it)."""

    def due(self, now: float) -> list[Instruction]: ...

    def wrap(self, frame: Frame) -> str:
        """The text that this connection hears for a frame."""

    def goodbye(self, now_ms: int) -> list[Instruction]:
        """The server is about to go: what it says before it closes."""

    def postpone(self, now: float) -> int:
        """Leave out the ping or heartbeat that is due, if one is; how many were left out."""


class Hub:
    """Subscriptions of all connections of one exchange, and the frames that wait for them."""

    def __init__(self) -> None:
        self.conversations: set[Conversation] = set()
        self._hearers: dict[str, dict[Conversation, None]] = {}
        self._pending: list[Frame] = []
        self.subscribed: dict[str, None] = {}
        """Every stream that anybody ever heard, in order."""
        self._news: list[str] = []
        self._given_up: list[str] = []
        self.delivered = 0

    def wanted(self, stream: str) -> bool:
        """Does anybody hear this stream now?"""
        return stream in self._hearers

    def heard(self) -> list[str]:
        """Every stream that somebody hears now."""
        return list(self._hearers)

    def say(self, stream: str, data: str, *, prints: bool = False) -> None:
        """Queue a frame."""
        self._pending.append(Frame(stream, data, prints))

    def refresh(self, conversation: Conversation) -> None:
        """Take over what a conversation is subscribed to now."""
        self._given_up += self._take_over(conversation)

    def _take_over(self, conversation: Conversation) -> list[str]:
        """The streams that nobody hears any more."""
        silent = []
        streams = {stream: None for stream, delivers in conversation.streams.items() if delivers}
        for stream, hearers in list(self._hearers.items()):
            if conversation in hearers and stream not in streams:
                del hearers[conversation]
                if not hearers:
                    del self._hearers[stream]
                    silent.append(stream)
        for stream in streams:
            if stream not in self._hearers:
                self.subscribed[stream] = None
                self._news.append(stream)
            self._hearers.setdefault(stream, {})[conversation] = None
        return silent

    def news(self) -> list[str]:
        """Streams that somebody hears, after nobody did, since the last call."""
        news, self._news = self._news, []
        return news

    def given_up(self) -> list[str]:
        """Streams whose last hearer said since the last call that it wants them no more.

        A connection that merely ended said no such thing: its client may come back for what it missed.
        """
        given_up, self._given_up = self._given_up, []
        return [stream for stream in given_up if not self.wanted(stream)]

    def join(self, conversation: Conversation) -> None:
        self.conversations.add(conversation)
        self.refresh(conversation)

    def leave(self, conversation: Conversation) -> None:
        self.conversations.discard(conversation)
        conversation.streams.clear()
        self._take_over(conversation)

    def hearers(self, stream: str) -> list[Conversation]:
        """Who hears a stream now."""
        return list(self._hearers.get(stream, ()))

    def take(self) -> Iterator[tuple[Frame, Iterable[Conversation]]]:
        """Hand over what is queued and who hears it, in order."""
        frames, self._pending = self._pending, []
        for frame in frames:
            hearers = self._hearers.get(frame.stream)
            if hearers:
                yield frame, hearers


def texts(instructions: Iterable[Instruction]) -> list[str]:
    """Only what is said."""
    return [one.text for one in instructions if isinstance(one, Say)]
