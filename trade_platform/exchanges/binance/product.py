"""What differs between Binance's products, as data: streams, their routes and deadlines, paces, paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from trade_platform.domain.model import Channel, Number
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance.known import IGNORED
from trade_platform.exchanges.binance.routes import Context, Route
from trade_platform.exchanges.binance.silence import Told
from trade_platform.exchanges.evidence import Look, Watch
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Request


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """How one channel is had from one product."""

    channel: Channel
    suffix: str
    """``<symbol>@<suffix>``; begins with ``!`` where one stream serves all symbols."""
    place: str
    """The product's name of the connection that carries it; several may lie on one host."""
    event: str
    """The ``e`` of its messages (or what stands in for it where there is none)."""
    open: Callable[[Context, Subscription], Route]
    deadline_seconds: float | None = None
    look: Look | None = None
    """How to tell a thin market from a hung channel once the deadline has passed."""
    mark: Callable[[Any], Any] | None = None
    """Of its last message, what the look is compared with; trades are known by their sequence."""
    steady_seconds: float | None = None
    """It ticks whatever the market does: if all of these are silent for so long, no look is needed."""

    @property
    def told(self) -> Told:
        return Told(Watch(self.look, self.steady_seconds), self.mark)

    def name(self, symbol: str) -> str:
        """The exchange's own name of the stream."""
        return self.suffix if self.suffix.startswith("!") else f"{symbol.lower()}@{self.suffix}"


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that no stream carries: asked for by REST, symbol by symbol."""

    channel: Channel
    suffix: str
    place: str
    every_seconds: float
    request: Callable[[str], Request]
    parse: Callable[[bytes, str, int], Number]
    """Body, symbol and receive time to the number; raises ProtocolViolation."""

    def name(self, symbol: str) -> str:
        """Ours: shaped like a stream's."""
        return f"{symbol.lower()}@{self.suffix}"


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """One product's public side."""

    key: str
    places: Mapping[str, str]
    """Path of each kind of connection below the WebSocket host."""
    message_interval_seconds: float
    """Between two texts of ours; pings and pongs count too, so it stays well below the limit."""
    streams: Mapping[Channel, Stream]
    polls: Mapping[Channel, Poll] = {}
    ignored_events: frozenset[str] = frozenset()
    """Explicitly not parsed on this product, in addition to ``wire.IGNORED``."""

    def served(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        """What this product delivers of it, once each; raw trades win over aggregates of the same symbol,

        because the two count differently and only one sequence can prove completeness.
        """
        known = [
            one for one in dict.fromkeys(wanted) if one.channel in self.streams or one.channel in self.polls
        ]
        raw = {one.symbol for one in known if one.channel is Channel.TRADE}
        return [one for one in known if one.channel is not Channel.AGGREGATE_TRADE or one.symbol not in raw]

    def source(self, channel: Channel) -> Stream | Poll:
        return self.streams.get(channel) or self.polls[channel]

    def stream_of(self, event: str) -> Stream | None:
        """The stream whose messages are of this type."""
        return next((one for one in self.streams.values() if one.event == event), None)

    def ignores(self, event: str) -> bool:
        """Whether the type is known and not recorded; any other without a stream is unknown."""
        return event in IGNORED or event in self.ignored_events
