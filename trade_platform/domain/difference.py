"""One difference between our books of an account and its exchange, and what it is worth."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from trade_platform.domain.accounts import Balance, Fill, Movement, OrderEvent, Position
from trade_platform.domain.ohlc import EXACT, ZERO
from trade_platform.domain.valuation import Severity, Valuation, severity_of

NAMESPACE: Final = UUID("6f0c2f3e-5d5f-5c58-9b5c-3f1f6f7d0a21")
"""Of all names that are made from differences; never to be changed."""


class Subject(StrEnum):
    """What is compared."""

    OPEN_ORDERS = "open_orders"
    ORDERS = "orders"
    FILLS = "fills"
    POSITIONS = "positions"
    BALANCES = "balances"
    MOVEMENTS = "movements"
    WALLET = "wallet"
    """Opening + movements = closing, for each asset and each position."""


class DifferenceKind(StrEnum):
    """Always relative to us."""

    MISSING = "missing"
    """They have it, we have not."""
    EXTRA = "extra"
    """We have it, they have not."""
    MISMATCHED = "mismatched"
    STALE = "stale"
    """Ours is older than theirs: what came after has not reached us."""
    DUPLICATE = "duplicate"
    """We have it more than once."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field of one row."""

    subject: Subject
    key: str
    kind: DifferenceKind
    field: str
    """``row`` where it is all of it."""
    ours: str | None = None
    theirs: str | None = None
    money: Decimal | None = None
    """USD, not signed; None where no price is known or it is not about money."""
    severity: Severity = Severity.MINOR

    @property
    def identity(self) -> tuple[str, str, str]:
        """The same one is seen again by it: what was stale may be called mismatched a moment later."""
        return self.subject, self.key, self.field


def identity_of(exchange: str, account: str, one: Difference) -> UUID:
    """The name of a discrepancy, the same whoever finds it and however often."""
    return uuid5(NAMESPACE, f"{exchange}\n{account}\n{one.subject}\n{one.key}\n{one.field}")


def in_text(value: object) -> str | None:
    """A value as a person and a table see it; decimals without padding and without an exponent."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def note(
    subject: Subject,
    key: str,
    kind: DifferenceKind,
    field: str,
    ours: Any,
    theirs: Any,
    valuation: Valuation,
    *,
    about_money: bool,
) -> Difference:
    """A difference of two rows, one of which may not be there."""
    money = _money(field, ours, theirs, valuation) if about_money else None
    return Difference(
        subject=subject,
        key=key,
        kind=kind,
        field=field,
        ours=_value(ours, field),
        theirs=_value(theirs, field),
        money=None if money is None else abs(money),
        severity=severity_of(money, about_money=about_money),
    )


def _value(row: Any, field: str) -> str | None:
    if row is None:
        return None
    return _summary(row) if field == "row" else in_text(getattr(row, field))


def _summary(row: Any) -> str:
    """A row in a few words."""
    match row:
        case Fill():
            return f"{row.side.value} {in_text(row.quantity)} at {in_text(row.price)}"
        case Movement():
            return f"{row.kind.value} {in_text(row.change)} {row.asset}"
        case OrderEvent():
            return f"{row.state.value}: {row.side.value} {in_text(row.quantity)} at {in_text(row.price)}"
        case Position():
            return str(in_text(row.quantity))
        case _:
            return str(in_text(row.total))


def _money(field: str, ours: Any, theirs: Any, valuation: Valuation) -> Decimal | None:
    """What the difference of a field is worth; of a row that one side lacks, all of it."""
    row = theirs if theirs is not None else ours
    match row:
        case Balance():
            return valuation.worth(row.asset, _apart(field, "total", ours, theirs))
        case Movement():
            return valuation.worth(row.asset, _apart(field, "change", ours, theirs))
        case Fill() if field == "fee":
            return valuation.worth(row.fee_asset, _apart(field, field, ours, theirs))
        case Fill() if field in ("realized_pnl", "quote_quantity"):
            terms = valuation.terms.get(row.symbol)
            return None if terms is None else valuation.worth(terms.quote, _apart(field, field, ours, theirs))
        case Fill() | OrderEvent() | Position():
            return _notional(field, row, ours, theirs, valuation)
    return None


def _notional(field: str, row: Any, ours: Any, theirs: Any, valuation: Valuation) -> Decimal | None:
    price = _price_of(row)
    if field in ("price", "average_price", "trigger_price") and price:
        # An inverse contract's quantity is money already: what a price is off counts by its share.
        off = EXACT.divide(abs(_apart(field, field, ours, theirs)), price)
        whole = valuation.notional(row.symbol, row.quantity, price)
        return None if whole is None else EXACT.multiply(whole, off)
    if field in ("quantity", "filled"):
        return valuation.notional(row.symbol, _apart(field, field, ours, theirs), price)
    return valuation.notional(row.symbol, row.quantity, price)


def _price_of(row: Any) -> Decimal | None:
    if isinstance(row, Position):
        return row.mark_price or row.average_price
    if isinstance(row, OrderEvent):
        return row.price or row.average_price or row.trigger_price
    return None if not isinstance(row, Fill) else row.price


def _apart(field: str, whole: str, ours: Any, theirs: Any) -> Decimal:
    """How far the two are apart, absent ones counted as zero."""
    name = whole if field in ("row", "kind") else field
    mine, other = (getattr(row, name, None) for row in (ours, theirs))
    return EXACT.subtract(
        other if isinstance(other, Decimal) else ZERO, mine if isinstance(mine, Decimal) else ZERO
    )
