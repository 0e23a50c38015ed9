"""Where lost trades and candles can be had from: what a repair demands of a source, and how one fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import date
from typing import Protocol

from trade_platform.domain.model import Candle, Channel, Trade


class SourceError(Exception):
    """A source cannot give what was asked for; the sentence names the file or the request."""


class NotThere(SourceError):
    """It is not there, or not yet: asking again later may help."""


class Unreachable(SourceError):
    """The source gives no answer: asking again soon may help."""


class Unusable(SourceError):
    """It is there and cannot be trusted or read: asking again will not help."""


class TradeSource(Protocol):
    """Trades of the past, by their numbers."""

    def trades(
        self, symbol: str, channel: Channel, first: int, last: int, days: Sequence[date]
    ) -> AsyncGenerator[Sequence[Trade], None]:
        """Batches of what it has of the numbers [first, last], ascending, none twice; holes are possible.

        None is empty. ``days`` (UTC) are where they can lie. What is still missing, coverage shows.
        Raises SourceError, at the end where only some of the days are not there.
        """


class CandleSource(Protocol):
    """The exchange's own 1-minute candles of the past."""

    def candles(self, symbol: str, start: int, end: int) -> AsyncIterator[Sequence[Candle]]:
        """Batches of what it has with an open_time in [start, end) (microseconds UTC), ascending.

        Raises SourceError, at the end where only some of the days are not there.
        """
