"""Which numbers a market can have: one bound for all exchanges, well inside what a NUMERIC can hold.

A Decimal may say NaN, 1E+999999, or go on for a million digits. Where many numbers are read they are
compared with ``LEAST`` and ``MOST`` first, which costs least; what lies outside goes through ``checked``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from trade_platform.exchanges.session import ProtocolViolation

LEAST: Final = Decimal("1e-40")
MOST: Final = Decimal("1e40")
SHORT_TEXT: Final = 16_384
"""No number in a text of this length has more digits than a NUMERIC."""
_ENDLESS: Final = re.compile(rb"[0-9.]{200}")


def checked(value: Decimal) -> Decimal:
    """The value, if it is one that a price, a quantity or a rate can have."""
    if LEAST < value < MOST:
        return value
    if not value.is_finite() or not LEAST.adjusted() <= value.adjusted() <= MOST.adjusted():
        raise ProtocolViolation(f"{str(value)[:40]} is no number that a market can have")
    return value


def checked_unsigned(value: Decimal) -> Decimal:
    """Likewise for what cannot be below zero."""
    if LEAST < value < MOST:
        return value
    if checked(value) < 0:
        raise ProtocolViolation(f"{str(value)[:40]} must not be negative")
    return value


def checked_optional(value: Decimal | None) -> Decimal | None:
    """Likewise for what may be absent."""
    return None if value is None else checked(value)


def has_endless_number(text: str | bytes | memoryview) -> bool:
    """More digits in a row than any market has; looked for only where there is room for them."""
    if len(text) <= SHORT_TEXT:
        return False
    return _ENDLESS.search(text.encode() if isinstance(text, str) else text) is not None
