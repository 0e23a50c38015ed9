"""What happened on the market, before anybody says it in the words of an exchange."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_platform.domain.model import MINUTE, Side

START = 1_795_338_000_000_000
"""A whole minute of November 2026, microseconds."""


class Fact(msgspec.Struct, frozen=True):
    """A trade: all of it follows from its number."""

    number: int

    @property
    def price(self) -> Decimal:
        return Decimal(10_000 + self.number % 977) / 10

    @property
    def quantity(self) -> Decimal:
        return Decimal(1 + self.number % 13) / 8

    @property
    def side(self) -> Side:
        return Side.BUY if self.number % 2 else Side.SELL

    @property
    def milliseconds(self) -> int:
        return START // 1000 + self.number


class MinuteFact(msgspec.Struct, frozen=True):
    """A candle: all of it follows from its start (microseconds)."""

    start: int

    @property
    def prices(self) -> tuple[str, str, str, str]:
        """Open, high, low, close."""
        low = self.start // MINUTE % 500 + 100
        return f"{low + 1}.5", f"{low + 3}.25", f"{low}.0", f"{low + 2}.75"

    volume = "12.5"
    cost = "1250.75"
    trades = 7


def minutes(start: int, end: int) -> list[MinuteFact]:
    """Those whose start lies in [start, end]."""
    first = -(-start // MINUTE) * MINUTE
    return [MinuteFact(one) for one in range(first, end + 1, MINUTE)]
