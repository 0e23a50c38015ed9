"""Which fields of an account's rows are held against each other, and how exactly.

Left out is what moves with the market (marks, margins, unrealised profit) and what each way of asking
counts differently (realised profit since when). Text that one of two answers leaves empty is not told,
not different.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from trade_platform.domain.difference import Subject
from trade_platform.domain.model import MICROSECONDS
from trade_platform.domain.ohlc import EXACT, ZERO


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a row."""

    name: str
    told: bool = False
    """Compared only where both sides say something."""
    share: Decimal = ZERO
    """So much of theirs ours may be off: where an exchange rounds differently by stream and by REST."""
    slack: int = 0
    """Of a time, microseconds."""
    money: bool = False
    """What is wrong here is worth something."""

    def differs(self, ours: Any, theirs: Any) -> bool:
        mine, other = getattr(ours, self.name), getattr(theirs, self.name)
        if self.told and (_is_untold(mine) or _is_untold(other)):
            return False
        if mine == other:
            return False
        if self.slack:
            return bool(abs(mine - other) > self.slack)
        if self.share and mine is not None and other is not None:
            return abs(EXACT.subtract(mine, other)) > EXACT.multiply(abs(other), self.share)
        return True


def _is_untold(value: Any) -> bool:
    return value is None or value == ""


def _exact(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name) for name in names)


def _told(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, told=True) for name in names)


def _money(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, money=True) for name in names)


def _told_money(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, told=True, money=True) for name in names)


_AVERAGE: Final = Field(name="average_price", told=True, share=Decimal("1e-7"), money=True)
_ORDER: Final = (
    *_exact("side", "reduce_only", "post_only"),
    *_money("state", "quantity", "filled", "price", "trigger_price"),
    _AVERAGE,
    *_told("order_type", "time_in_force", "client_id", "label", "parent_id", "position_side", "created"),
    # An order whose time lies ahead would hide all that comes.
    Field(name="event_time", slack=MICROSECONDS),
)
FIELDS: Final[Mapping[Subject, tuple[Field, ...]]] = {
    Subject.OPEN_ORDERS: _ORDER,
    Subject.ORDERS: _ORDER,
    Subject.FILLS: (
        *_exact("event_time", "fee_asset", "settlement", "combo"),
        *_money("side", "price", "quantity", "fee"),
        *_told_money("realized_pnl", "quote_quantity"),
        *_told("maker", "sequence", "label", "position_side"),
    ),
    Subject.POSITIONS: (*_money("quantity"), _AVERAGE, *_told("margin_mode", "asset")),
    Subject.BALANCES: (*_money("total"), *_told_money("locked")),
    Subject.MOVEMENTS: (
        *_exact("kind", "event_time"),
        *_money("change"),
        *_told_money("balance", "fee", "funding"),
        *_told("symbol", "fill_id", "order_id", "sequence"),
    ),
}

_UNCOMPARED: Final[Mapping[str, frozenset[tuple[Subject, str]]]] = {
    # Where a stop became another order, lists name its parent and the stream does not.
    "deribit": frozenset(),
}
_NONE: Final[frozenset[tuple[Subject, str]]] = frozenset()


def uncompared(exchange: str) -> frozenset[tuple[Subject, str]]:
    """Fields that an exchange tells differently by its lists and by its stream."""
    return _UNCOMPARED.get(exchange, _NONE)
