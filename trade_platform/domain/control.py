"""Control totals: is our minute the exchange's own? Pure rules over two rows of the same minute.

Fields are compared exactly, by the rounding that each exchange is known for. What remains is *explained*
where our own data show the reason, else *open*: what is not known is never taken for equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.ohlc import EXACT, ZERO

PRICES: Final = ("open", "high", "low", "close")
VOLUMES: Final = ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
FIELDS: Final = (*PRICES, *VOLUMES, "trades", "first_id", "last_id")
ROW: Final = "candle"
"""The field of a difference that is the whole row: we hold trades of a minute that the exchange lacks."""


class Class(StrEnum):
    """What is known of a difference."""

    EQUAL = "equal"
    """It was one, and is none any more."""
    EXPLAINED = "explained"
    OPEN = "open"


class Rule(msgspec.Struct, frozen=True):
    """How an exchange rounds a field; without either: not at all."""

    decimals: int | None = None
    """Ours is cut to so many, never rounded, and must then be theirs exactly."""
    tolerance: Decimal = ZERO
    """By so much ours may differ, where the exchange's rounding is not documented."""

    def holds(self, ours: Decimal, theirs: Decimal) -> bool:
        if self.decimals is None:
            return abs(EXACT.subtract(ours, theirs)) <= self.tolerance
        step = Decimal(1).scaleb(-self.decimals)
        return ours.quantize(step, rounding=ROUND_DOWN, context=EXACT) == theirs


_EXACTLY: Final = Rule()
_UNIT: Final = Decimal("1e-8")
_BINANCE: Final = dict.fromkeys(("quote_volume", "taker_buy_quote_volume"), Rule(decimals=8))
_RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "binance_spot": _BINANCE,
    "binance_usdm": _BINANCE,
    # Volume is Σ amount / price on inverse contracts; where Deribit rounds is not known.
    "deribit": dict.fromkeys(("volume", "quote_volume"), Rule(tolerance=_UNIT)),
}


def rules_of(exchange: str) -> dict[str, Rule]:
    """By field; an exchange of which nothing else is known rounds nothing."""
    return {field: _RULES.get(exchange, {}).get(field, _EXACTLY) for field in FIELDS}


Pair: TypeAlias = tuple[Decimal | None, Decimal | None]
"""(ours, theirs)."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What our own data tell of one minute, besides its candle."""

    block_volume: Decimal = ZERO
    block_quote_volume: Decimal = ZERO
    block_prices: Sequence[Decimal] = ()
    spare_ids: int = 0
    """Raw trade ids in it, or beside it, that belong to no trade of ours although none is missing."""


NO_EVIDENCE: Final = Evidence()


class Judgement(msgspec.Struct, frozen=True):
    """What is to be said of one difference."""

    class_: Class
    explanation: str = ""


def judge(exchange: str, differences: Mapping[str, Pair], evidence: Evidence) -> dict[str, Judgement]:
    """Each field of one minute that differs: why, or that nobody knows."""
    if ROW in differences:
        return {ROW: Judgement(Class.OPEN, "we hold trades of this minute, and the exchange has no candle")}
    if exchange == "binance_usdm" and (reason := _uncounted(differences, evidence)):
        return dict.fromkeys(differences, Judgement(Class.EXPLAINED, reason))
    rules = rules_of(exchange)
    return {
        field: _by_blocks(field, pair, rules[field], evidence) or _unknown(exchange, field, pair)
        for field, pair in differences.items()
    }


def _uncounted(differences: Mapping[str, Pair], evidence: Evidence) -> str:
    """Fills of the insurance fund and of auto-deleveraging take raw ids and are in no aggregate."""
    ours, theirs = differences.get("trades", (None, None))
    if ours is None or theirs is None or not 0 < theirs - ours <= evidence.spare_ids:
        return ""
    grown = all(
        low <= high for field in (*VOLUMES, "high", "last_id") for low, high in _told(differences, field)
    )
    begun = all(low >= high for field in ("low", "first_id") for low, high in _told(differences, field))
    if not (grown and begun):
        return ""
    return (
        f"the exchange counts {theirs - ours} more fills, and {evidence.spare_ids} raw ids here are in no "
        "aggregate trade: insurance fund or auto-deleveraging"
    )


def _told(differences: Mapping[str, Pair], field: str) -> list[tuple[Decimal, Decimal]]:
    ours, theirs = differences.get(field, (None, None))
    return [] if ours is None or theirs is None else [(ours, theirs)]


def _by_blocks(field: str, pair: Pair, rule: Rule, evidence: Evidence) -> Judgement | None:
    """Block trades count for us as volume and give no price: an exchange may see it otherwise."""
    ours, theirs = pair
    if theirs is None or not evidence.block_prices:
        return None
    if field in PRICES and theirs in evidence.block_prices:
        return Judgement(Class.EXPLAINED, "the exchange takes a block trade's price")
    block = {"volume": evidence.block_volume, "quote_volume": evidence.block_quote_volume}.get(field, ZERO)
    if ours is not None and block and rule.holds(EXACT.subtract(ours, block), theirs):
        return Judgement(Class.EXPLAINED, f"the exchange leaves block trades of {block} out")
    return None


def _unknown(exchange: str, field: str, pair: Pair) -> Judgement:
    ours, theirs = pair
    if ours is None:
        return Judgement(Class.OPEN, "ours has no value")
    less = theirs is not None and theirs < ours
    if exchange == "binance_usdm" and field in VOLUMES and less:
        return Judgement(Class.OPEN, "theirs is less: it may leave out fills of retail price improvement")
    return Judgement(Class.OPEN)
