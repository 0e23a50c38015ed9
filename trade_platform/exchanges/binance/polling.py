"""Channels that no stream carries: asked for by REST in turn, spread over their period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trade_platform.exchanges.binance.product import Poll
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.session import Output, ProtocolViolation, Rest
from trade_platform.exchanges.tally import Tally

SPREAD_SECONDS: Final = 1.0
"""At most so far apart do the first requests go out: the numbers should come soon too."""


class Polling:
    """The polls of one connection, one request per channel and period."""

    def __init__(self, subscriptions: Mapping[str, Subscription], tally: Tally) -> None:
        self._subscriptions = subscriptions
        self._tally = tally
        self._polls: dict[str, Poll] = {}
        self._next_at: dict[str, float] = {}
        self._market_time = 0

    def begin(self, polls: Mapping[str, Poll], now: float) -> None:
        """Ask for these from now on."""
        for place, (name, poll) in enumerate(polls.items()):
            self._polls[name] = poll
            self._next_at[name] = now + place * min(SPREAD_SECONDS, poll.every_seconds / len(polls))
            self._subscriptions[name].requested(now)

    def forget(self, name: str) -> None:
        self._polls.pop(name, None)
        self._next_at.pop(name, None)

    def due(self, market_time: int, now: float) -> Sequence[Output]:
        """The requests whose time has come."""
        self._market_time = market_time
        ready = [name for name, at in self._next_at.items() if at <= now]
        for name in ready:
            # Kept on its own beat, so that a late call does not bunch them up.
            every = self._polls[name].every_seconds
            self._next_at[name] = max(self._next_at[name] + every, now + every / 2)
        return [self._ask(self._subscriptions[name], self._polls[name]) for name in ready]

    def _ask(self, subscription: Subscription, poll: Poll) -> Rest:
        symbol = subscription.wanted.symbol

        def parse(body: bytes) -> Sequence[Output]:
            try:
                number = poll.parse(body, symbol, self._market_time)
            except ProtocolViolation:
                self._tally.note(f"{poll.suffix} (unreadable)")
                return ()
            subscription.messages += 1
            return (number,)

        return Rest(poll.request(symbol), parse, lambda _sentence: ())
