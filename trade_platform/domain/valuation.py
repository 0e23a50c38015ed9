"""What amounts of an account are worth in USD, as far as prices are known; None where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from trade_platform.domain.ohlc import EXACT

DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "BNFCR"})
"""Counted as one US dollar each: what they are worth beside that is not the question here."""
ONE: Final = Decimal(1)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an instrument's numbers count."""

    base: str
    quote: str
    settlement: str = ""
    inverse: bool = False
    """Its quantity counts the quote currency."""


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one moment, and the terms of the instruments."""

    prices: Mapping[str, Decimal] = {}
    """USD for one of an asset; dollars need no entry."""
    terms: Mapping[str, Terms] = {}
    """By symbol."""

    def price(self, asset: str) -> Decimal | None:
        """USD for one."""
        return ONE if asset in DOLLARS else self.prices.get(asset)

    def worth(self, asset: str, amount: Decimal) -> Decimal | None:
        """USD, signed as the amount is."""
        price = self.price(asset)
        return None if price is None else EXACT.multiply(amount, price)

    def notional(self, symbol: str, quantity: Decimal, price: Decimal | None) -> Decimal | None:
        """USD of so much of an instrument at this price of its own, or at what its base costs."""
        terms = self.terms.get(symbol)
        if terms is None:
            return None
        if terms.inverse:
            return self.worth(terms.quote, quantity)
        if price is None:
            return self.worth(terms.base, quantity)
        return self.worth(terms.quote, EXACT.multiply(quantity, price))


NOTHING_KNOWN: Final = Valuation()


class Severity(StrEnum):
    """How much a difference matters, by money."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


MAJOR_FROM: Final = Decimal(1)
"""US dollars."""
CRITICAL_FROM: Final = Decimal(100)


def severity_of(money: Decimal | None, *, about_money: bool) -> Severity:
    """Money that nobody can value is no small matter."""
    if not about_money:
        return Severity.MINOR
    if money is None:
        return Severity.MAJOR
    if abs(money) >= CRITICAL_FROM:
        return Severity.CRITICAL
    return Severity.MAJOR if abs(money) >= MAJOR_FROM else Severity.MINOR
