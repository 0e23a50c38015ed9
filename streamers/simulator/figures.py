"""Decimal text from integers: every figure of the market is an integer in units of 10^-decimals."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal

WIDE = Context(prec=60)
"""Enough digits that no sum of a minute is ever rounded."""
EIGHT = Decimal("0.00000001")


def fixed(value: int, decimals: int) -> str:
    """``fixed(12345, 2) == "123.45"``."""
    if not decimals:
        return str(value)
    sign, size = ("-", -value) if value < 0 else ("", value)
    whole, part = divmod(size, 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"


def units(text: str, decimals: int) -> int:
    """Inverse of ``fixed``; further decimals are cut off."""
    whole, _, part = text.partition(".")
    return int(whole + (part + "0" * decimals)[:decimals])


def cut(value: int, decimals: int, kept: int) -> str:
    """As ``fixed``, with what lies beyond ``kept`` decimals cut off, as Binance does with quote volumes."""
    return fixed(value // 10 ** (decimals - kept), kept) if decimals > kept else fixed(value, decimals)


def padded(text: str, decimals: int = 8) -> str:
    """Zeros behind, as Binance spot writes every decimal."""
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<{decimals}}"


def plain(text: str) -> str:
    """A JSON number as Deribit prints it: no zeros behind, but always one decimal (``10.0``)."""
    if "." not in text:
        return text + ".0"
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def plain_units(value: int, decimals: int) -> str:
    """``plain`` of an integer in units."""
    return plain(fixed(value, decimals))


def truncated(value: Decimal) -> Decimal:
    """Eight decimals, the rest cut off."""
    return value.quantize(EIGHT, ROUND_DOWN, WIDE)


def rounded(value: Decimal) -> Decimal:
    """Eight decimals, half to even."""
    return value.quantize(EIGHT, ROUND_HALF_EVEN, WIDE)
