"""What Binance's channels told last, and how REST shows what they should have told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import gt
from typing import Any, Final

import msgspec

from trade_platform.domain.model import Channel
from trade_platform.exchanges.evidence import Look, Watch
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Missing, Output, Request

WEIGHT_PER_SECOND: Final = 5.0
"""Of the REST budget, per connection: 300 a minute."""
BURST: Final = 60.0
TRADES: Final = frozenset({Channel.TRADE, Channel.AGGREGATE_TRADE})
INVALID_SYMBOL: Final = "-1121"


class Told(msgspec.Struct, frozen=True):
    """How one channel is watched, and the mark of its last message in the form of its look."""

    watch: Watch
    mark: Callable[[Any], Any] | None = None


class BinanceWitness:
    """Implements ``exchanges.silence.Witness``."""

    def __init__(self, channels: Mapping[Channel, Told], sequences: dict[str, int]) -> None:
        self._channels = channels
        self._sequences = sequences
        self._gone: set[str] = set()

    def watch(self, subscription: Subscription) -> Watch | None:
        told = self._channels.get(subscription.wanted.channel)
        return None if told is None or subscription.name in self._gone else told.watch

    def held(self, subscription: Subscription) -> Any:
        told = self._channels[subscription.wanted.channel]
        if subscription.wanted.channel in TRADES:
            return self._sequences.get(subscription.wanted.symbol)
        return None if told.mark is None or subscription.newest is None else told.mark(subscription.newest)

    def stood(self, subscription: Subscription, mark: Any) -> Sequence[Output]:
        """What was traded between two connections is missing, though no trade has said so yet."""
        symbol, channel = subscription.wanted.symbol, subscription.wanted.channel
        if channel not in TRADES:
            return ()
        last = self._sequences.get(symbol, mark)
        self._sequences[symbol] = max(mark, last)
        return (Missing(symbol, channel, last + 1, mark),) if mark > last else ()

    def traded(self, subscription: Subscription) -> int:
        return self._sequences.get(subscription.wanted.symbol, 0)

    def is_gone(self, sentence: str) -> bool:
        return sentence.startswith(INVALID_SYMBOL)

    def gone(self, subscription: Subscription) -> None:
        self._gone.add(subscription.name)

    def forget(self, name: str) -> None:
        """The channel is no longer subscribed."""
        self._gone.discard(name)


def look_at(
    path: str,
    weight: int,
    newest: Callable[[bytes], Any],
    moved: Callable[[Any, Any], bool] = gt,
    **query: str | int,
) -> Look:
    """A look by a GET whose only variable is the symbol."""

    def request(symbol: str, market_time: int) -> Request:  # noqa: ARG001
        return Request(path=path, query={"symbol": symbol, **query}, weight=weight)

    return Look(request, newest, moved, weight)
