"""Quotes, tickers and indices: what is measured, thinned where the exchange says more than is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from trade_platform.domain.model import Number
from trade_platform.exchanges.conflation import Latest
from trade_platform.exchanges.deribit import records, wire
from trade_platform.exchanges.deribit.known import Sample
from trade_platform.exchanges.liveness import Subscription


class Measure(msgspec.Struct, frozen=True):
    """How one kind of message is read."""

    decode: Callable[[Raw], Any]
    build: Callable[[Any, str, int, int], list[Number]]
    """(message, symbol, receive_time, update) → its numbers."""
    mark: Callable[[Any], Any]
    thinned: bool = False


def ticker_mark(ticker: wire.Ticker) -> tuple[Any, ...]:
    """What moves when a market moves and is told then; REST may compute a mark price anew for each answer."""
    return (*quote_mark(ticker), ticker.last_price, ticker.open_interest)


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
    """One channel of measurements, at most one message of each ``interval`` (0: every one), the last."""

    def __init__(
        self, subscription: Subscription, sample: Sample, symbol: str, measure: Measure, interval: int
    ) -> None:
        self.subscription = subscription
        self._sample = sample
        self._symbol = symbol
        self._measure = measure
        self._decode = measure.decode
        self._last: Any = None
        self._update = 0
        """How many messages of the same millisecond came before: they would share an identity."""
        self._latest = Latest(interval, self._build) if interval and measure.thinned else None

    @property
    def mark(self) -> Any:
        return None if self._last is None else self._measure.mark(self._last)

    def read(self, data: Raw, receive_time: int) -> Sequence[Number]:
        message = self._decode(data)
        self._sample.look(data)
        last, self._last = self._last, message
        self._update = self._update + 1 if last is not None and last.timestamp == message.timestamp else 0
        new = (message, self._update)
        return self._latest.offer(new, receive_time) if self._latest else self._build(new, receive_time)

    def flush(self, market_time: int, now: float) -> Sequence[Number]:
        """What is held, if its interval is over."""
        return self._latest.flush(market_time, now) if self._latest else ()

    def _build(self, new: tuple[Any, int], receive_time: int) -> list[Number]:
        message, update = new
        return self._measure.build(message, self._symbol, receive_time, update)
