"""Quotes, tickers and indices: what is measured, thinned where the exchange says more than is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from trade_platform.domain.model import MICROSECONDS, Number
from trade_platform.exchanges.deribit import records, wire
from trade_platform.exchanges.deribit.ignored import Sample
from trade_platform.exchanges.liveness import Subscription


class Measure(msgspec.Struct, frozen=True):
    """How one kind of message is read."""

    decode: Callable[[Raw], Any]
    build: Callable[[Any, str, int, int], list[Number]]
    """(message, symbol, receive_time, update) → its numbers."""
    mark: Callable[[Any], Any]
    thinned: bool = False


def ticker_mark(ticker: wire.Ticker) -> tuple[Any, ...]:
    """What moves when a market moves."""
    return (*quote_mark(ticker), ticker.mark_price, ticker.last_price, ticker.open_interest)


def quote_mark(quote: wire.Quote | wire.Ticker) -> tuple[Any, ...]:
    """Both sides of the top of the book."""
    return (quote.best_bid_price, quote.best_bid_amount, quote.best_ask_price, quote.best_ask_amount)


MEASURES: Final = {
    "quote": Measure(wire.read_quote, records.quote_numbers, quote_mark, thinned=True),
    "ticker": Measure(wire.read_ticker, records.ticker_numbers, ticker_mark, thinned=True),
    "deribit_price_index": Measure(wire.read_price, records.price_numbers, lambda one: one.price),
    "deribit_volatility_index": Measure(
        wire.read_volatility, records.volatility_numbers, lambda one: one.volatility
    ),
}


class Numbers:
    """One channel of measurements, at most one message of each ``interval`` (0: every one), the last.

    Intervals lie on a grid of market time, so that what is kept does not depend on when anybody asks.
    """

    def __init__(
        self, subscription: Subscription, sample: Sample, symbol: str, measure: Measure, interval: int
    ) -> None:
        self.subscription = subscription
        self._sample = sample
        self._symbol = symbol
        self._measure = measure
        self._decode = measure.decode
        self._interval = interval if measure.thinned else 0
        self._last: Any = None
        self._update = 0
        """How many messages of the same millisecond came before: they would share an identity."""
        self._held: tuple[Any, int, int] | None = None
        self._slot = -1
        """Number of the interval that the held message, or the last one let go, stands for."""
        self._noticed: float | None = None

    @property
    def mark(self) -> Any:
        return None if self._last is None else self._measure.mark(self._last)

    def read(self, data: Raw, receive_time: int) -> Sequence[Number]:
        message = self._decode(data)
        self._sample.look(data)
        last, self._last = self._last, message
        self._update = self._update + 1 if last is not None and last.timestamp == message.timestamp else 0
        held = (message, receive_time, self._update)
        return self._hold(held) if self._interval else self._build(held)

    def flush(self, market_time: int, now: float) -> Sequence[Number]:
        """What is held, if its interval is over."""
        if self._held is None:
            return ()
        if self._noticed is None:
            self._noticed = now
        # A market time that stands still, because nothing comes to tell it, must not hold back the last.
        waited = (now - self._noticed) * MICROSECONDS >= self._interval
        if not waited and market_time // self._interval <= self._slot:
            return ()
        held, self._held = self._held, None
        return self._build(held)

    def _hold(self, new: tuple[Any, int, int]) -> Sequence[Number]:
        slot = new[1] // self._interval
        held, self._held = self._held, new
        if held is None:
            self._slot, self._noticed = slot, None
            return ()
        if slot <= self._slot:
            return ()
        self._slot, self._noticed = slot, None
        return self._build(held)

    def _build(self, held: tuple[Any, int, int]) -> list[Number]:
        message, receive_time, update = held
        return self._measure.build(message, self._symbol, receive_time, update)
