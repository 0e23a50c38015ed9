"""Opening + movements = closing, for each asset and each position; what is left over is said, not absorbed.

Where the balance stands in the exchange's own ledger row by row (Deribit) the rows are a chain; where a
ledger tells changes alone (USD-M) they are added up; where there is no ledger of trades (spot) the fills are
the ledger, with deposits and transfers beside them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from trade_platform.domain.account_books import KEYS
from trade_platform.domain.accounts import Fill, Movement, MovementKind, Position
from trade_platform.domain.difference import Difference, DifferenceKind, Subject, in_text
from trade_platform.domain.model import Side
from trade_platform.domain.ohlc import EXACT, ZERO
from trade_platform.domain.valuation import NOTHING_KNOWN, Severity, Terms, Valuation, severity_of


class Ledger(StrEnum):
    """How an exchange tells what changed a balance."""

    CHAIN = "chain"
    """Each row says the change and the balance after it, and rows are counted."""
    CHANGES = "changes"
    FILLS = "fills"
    """Trades stand in no ledger: their fills are it."""


class WalletRule(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange's arithmetic."""

    ledger: Ledger = Ledger.CHANGES
    step: Decimal = ZERO
    """By so much each row may be off: the exchange rounds change and balance on their own."""


RULES: Final[Mapping[str, WalletRule]] = {
    "deribit": WalletRule(ledger=Ledger.CHAIN, step=Decimal("1e-8")),
    "binance_usdm": WalletRule(ledger=Ledger.CHANGES, step=Decimal("1e-8")),
    "binance_spot": WalletRule(ledger=Ledger.FILLS),
}


def rule_of(exchange: str) -> WalletRule:
    """Of an exchange that nobody described: changes, added up exactly."""
    return RULES.get(exchange, WalletRule())


class Leg(msgspec.Struct, frozen=True):
    """One reason why an amount of an asset changed."""

    asset: str
    kind: MovementKind
    amount: Decimal
    at: int


def legs_of_fill(fill: Fill, terms: Terms) -> list[Leg]:
    """What a trade of two assets brought, took and cost."""
    sign = 1 if fill.side is Side.BUY else -1
    paid = fill.quote_quantity
    if paid is None:
        paid = EXACT.multiply(fill.price, fill.quantity)
    legs = [
        Leg(terms.base, MovementKind.TRADE, sign * fill.quantity, fill.event_time),
        Leg(terms.quote, MovementKind.TRADE, -sign * paid, fill.event_time),
    ]
    if fill.fee:
        legs.append(Leg(fill.fee_asset, MovementKind.FEE, -fill.fee, fill.event_time))
    return legs


def legs_of_movement(row: Movement) -> list[Leg]:
    """One row; fee and funding that it holds besides stand by themselves."""
    fee = -(row.fee or ZERO)
    funding = row.funding or ZERO
    rest = EXACT.subtract(row.change, EXACT.add(fee, funding))
    parts = ((MovementKind.FEE, fee), (MovementKind.FUNDING, funding), (row.kind, rest))
    return [Leg(row.asset, kind, amount, row.event_time) for kind, amount in parts if amount]


def legs_of(
    rule: WalletRule, fills: Iterable[Fill], movements: Iterable[Movement], terms: Mapping[str, Terms]
) -> list[Leg]:
    """Everything that changed balances. Fills of instruments that nobody knows are left out: see suspense."""
    legs = [leg for row in movements for leg in legs_of_movement(row)]
    if rule.ledger is Ledger.FILLS:
        legs += [leg for one in fills if one.symbol in terms for leg in legs_of_fill(one, terms[one.symbol])]
    return legs


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One asset from a beginning to an end."""

    asset: str
    opening: Decimal
    closing: Decimal
    changes: Mapping[MovementKind, Decimal]
    """Signed; fees and funding by themselves."""
    rows: int

    @property
    def expected(self) -> Decimal:
        """What the movements make of the opening."""
        found = self.opening
        for amount in self.changes.values():
            found = EXACT.add(found, amount)
        return found

    @property
    def rest(self) -> Decimal:
        """What nothing explains."""
        return EXACT.subtract(self.closing, self.expected)


def account_for(
    opening: Mapping[str, Decimal], legs: Iterable[Leg], closing: Mapping[str, Decimal]
) -> list[Line]:
    """A line for each asset that is on any side; legs are those between the two moments."""
    sums: dict[str, dict[MovementKind, Decimal]] = defaultdict(dict)
    rows: dict[str, int] = defaultdict(int)
    for leg in legs:
        own = sums[leg.asset]
        own[leg.kind] = EXACT.add(own.get(leg.kind, ZERO), leg.amount)
        rows[leg.asset] += 1
    return [
        Line(
            asset=asset,
            opening=opening.get(asset, ZERO),
            closing=closing.get(asset, ZERO),
            changes=sums.get(asset, {}),
            rows=rows.get(asset, 0),
        )
        for asset in sorted(opening.keys() | sums.keys() | closing.keys())
    ]


def off(lines: Iterable[Line], rule: WalletRule) -> list[Line]:
    """Lines that do not come out, roundings of each row allowed."""
    return [line for line in lines if abs(line.rest) > EXACT.multiply(rule.step, Decimal(line.rows))]


def unexplained(
    lines: Iterable[Line], rule: WalletRule, valuation: Valuation = NOTHING_KNOWN
) -> list[Difference]:
    """The same, as differences: ours is what the movements make of the opening."""
    return [
        _off(line.asset, "closing", line.expected, line.closing, valuation, line.asset)
        for line in off(lines, rule)
    ]


def chain(
    rows: Sequence[Movement], rule: WalletRule, valuation: Valuation = NOTHING_KNOWN
) -> list[Difference]:
    """Rows of a counted ledger: none is missing, and each balance is the last one and its change.

    The count runs through all assets of a user.
    """
    counted = sorted((row for row in rows if row.sequence is not None), key=_by_sequence)
    return [*_jumps(counted), *_breaks(counted, rule, valuation)]


def _by_sequence(row: Movement) -> tuple[int, str]:
    return row.sequence or 0, KEYS[Movement](row)


def _jumps(rows: Sequence[Movement]) -> list[Difference]:
    numbers = sorted({row.sequence for row in rows if row.sequence is not None})
    return [
        Difference(
            subject=Subject.WALLET,
            key=f"{before + 1}-{after - 1}",
            kind=DifferenceKind.MISSING,
            field="sequence",
            theirs=str(after - before - 1),
            severity=Severity.MAJOR,
        )
        for before, after in itertools.pairwise(numbers)
        if after != before + 1
    ]


def _breaks(rows: Sequence[Movement], rule: WalletRule, valuation: Valuation) -> list[Difference]:
    last: dict[str, Movement] = {}
    found = []
    for row in rows:
        before = last.get(row.asset)
        if before is not None and before.balance is not None and row.balance is not None:
            expected = EXACT.add(before.balance, row.change)
            if abs(EXACT.subtract(expected, row.balance)) > rule.step:
                found.append(
                    _off(KEYS[Movement](row), "balance", expected, row.balance, valuation, row.asset)
                )
        last[row.asset] = row
    return found


def positions_moved(
    opening: Iterable[Position], fills: Iterable[Fill], closing: Iterable[Position], *, but: frozenset[str]
) -> list[Difference]:
    """Opening + fills = closing, of each position; ``but``: symbols that something else moved (expiry, …)."""
    expected: dict[str, Decimal] = defaultdict(Decimal)
    symbols: dict[str, str] = {}
    for one in opening:
        expected[KEYS[Position](one)] = one.quantity
        symbols[KEYS[Position](one)] = one.symbol
    for fill in fills:
        if not fill.combo:
            key = f"{fill.symbol}|{fill.position_side}"
            signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
            expected[key] = EXACT.add(expected[key], signed)
            symbols[key] = fill.symbol
    is_now = {KEYS[Position](one): one.quantity for one in closing}
    symbols |= {KEYS[Position](one): one.symbol for one in closing}
    return [
        _off(key, "position", expected.get(key, ZERO), is_now.get(key, ZERO), NOTHING_KNOWN, "")
        for key in sorted(expected.keys() | is_now.keys())
        if symbols[key] not in but and expected.get(key, ZERO) != is_now.get(key, ZERO)
    ]


def _off(
    key: str, field: str, ours: Decimal, theirs: Decimal, valuation: Valuation, asset: str
) -> Difference:
    money = valuation.worth(asset, EXACT.subtract(theirs, ours))
    return Difference(
        subject=Subject.WALLET,
        key=key,
        kind=DifferenceKind.MISMATCHED,
        field=field,
        ours=in_text(ours),
        theirs=in_text(theirs),
        money=None if money is None else abs(money),
        severity=severity_of(money, about_money=True),
    )
