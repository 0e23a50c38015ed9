"""The server half of one exchange, as small as the suite needs it: facts in, the exchange's words out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from tests.exchanges.suite.facts import Fact, MinuteFact, minutes
from trade_platform.domain.model import Channel, ExchangeStatus
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import Exchange, Reason, Request


class Farewell(msgspec.Struct, frozen=True):
    """A text by which the exchange says that it goes, and what must follow from it."""

    text: str
    status: ExchangeStatus
    reason: Reason


class Voice(ABC):
    """Stateful, one a conversation: it knows what was subscribed and how far the market is."""

    symbols: ClassVar[tuple[str, str, str]]
    names_a_message: ClassVar[int]
    messages_a_second: ClassVar[int]
    subscriptions_a_connection: ClassVar[int]
    vocabulary: ClassVar[Sequence[str]]
    """Keys and words of its messages, for those who make garbage of them."""
    farewells: ClassVar[Sequence[Farewell]]
    errors: ClassVar[Sequence[tuple[int, bytes, bool, bool]]]
    """HTTP status and body of refusals, whether to ask again, and whether it is maintenance."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.subscribed: set[str] = set()
        self.messages: list[list[str]] = []
        """Names of each subscribe or unsubscribe message that was heard."""
        self.newest = 0
        """Number of the last trade of every symbol."""
        self.restless = False
        """Every question by REST finds a trade more than the last."""
        self.leaves_out: frozenset[str] = frozenset()

    @property
    def channel(self) -> Channel:
        """The one whose sequence proves completeness."""
        channel = self.exchange.trade_channel(self.exchange.channels)
        assert channel is not None
        return channel

    def wanted(self, *symbols: str) -> list[Wanted]:
        return [Wanted(symbol, self.channel) for symbol in symbols or self.symbols[:1]]

    # On the socket

    @abstractmethod
    def answer(self, text: str) -> list[str]:
        """What is said to a text of the client's; ``subscribed`` and ``messages`` are kept."""

    @abstractmethod
    def trade(self, symbol: str, number: int) -> str:
        """A frame with one trade."""

    def heartbeat(self) -> list[str]:
        """What is said every few seconds although nothing happens."""
        return []

    @abstractmethod
    def stranger(self) -> str:
        """A message of a type that nobody knows yet."""

    # By REST

    def rest(self, request: Request) -> bytes:
        """The body of a good answer."""
        if self.restless:
            self.newest += 1
        return msgspec.json.encode(self.reply(request.path, dict(request.query)))

    @abstractmethod
    def reply(self, path: str, query: dict[str, Any]) -> Any: ...

    def statuses(self) -> list[tuple[bytes, ExchangeStatus]]:
        """Answers to the question after its state."""
        return [(self.rest(self.exchange.status_request()), ExchangeStatus.OPEN)]

    def facts(self, first: int, last: int, most: int = 10**9) -> list[Fact]:
        """Trades that there have been, of any symbol."""
        return [Fact(number) for number in range(max(first, 1), min(last, self.newest, first + most - 1) + 1)]

    def since(self, first: int, last: int) -> list[Fact]:
        """The first trade made in [first, last], milliseconds."""
        return [one for one in self.facts(1, self.newest) if first <= one.milliseconds <= last][:1]

    def minutes(self, start: Any, end: Any) -> list[MinuteFact]:
        """By milliseconds."""
        return minutes(int(start) * 1000, int(end) * 1000)
