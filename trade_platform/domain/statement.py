"""What an account did over a time, in its assets and in USD: pure sums over rows that are held."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.domain.accounts import Balance, Fill, Movement, MovementKind, Position
from trade_platform.domain.ohlc import EXACT, ZERO
from trade_platform.domain.valuation import Valuation
from trade_platform.domain.wallet import Line

GROUPS: Final[Mapping[MovementKind, str]] = {
    MovementKind.TRADE: "trading",
    MovementKind.REALIZED_PNL: "trading",
    MovementKind.SETTLEMENT: "trading",
    MovementKind.FEE: "fees",
    MovementKind.REBATE: "fees",
    MovementKind.FUNDING: "funding",
    MovementKind.TRANSFER: "transfers",
    MovementKind.DEPOSIT: "transfers",
    MovementKind.WITHDRAWAL: "transfers",
}
"""Where a kind of movement is shown; what is not here is ``other``."""
TRANSFERS: Final = frozenset(kind for kind, group in GROUPS.items() if group == "transfers")

Price = Callable[[str, int], Decimal | None]
"""(asset, moment) → USD for one."""


class AssetLine(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of an account: opening + all between = closing."""

    asset: str
    opening: Decimal
    trading: Decimal
    fees: Decimal
    """Below 0: paid."""
    funding: Decimal
    transfers: Decimal
    other: Decimal
    rest: Decimal
    """What nothing explains."""
    closing: Decimal
    equity: Decimal
    """Closing and what open positions would bring."""
    price: Decimal | None
    """USD for one, at the end."""

    @property
    def worth(self) -> Decimal | None:
        return None if self.price is None else EXACT.multiply(self.equity, self.price)


class LabelLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy did, in USD at the end's prices."""

    label: str
    fills: int
    volume: Decimal
    realized: Decimal
    fees: Decimal
    """Paid."""


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """How near an open position is to its liquidation."""

    symbol: str
    position_side: str
    quantity: Decimal
    mark_price: Decimal | None
    liquidation_price: Decimal | None

    @property
    def distance(self) -> Decimal | None:
        """Of the mark price, until liquidation: 0.25 is a quarter away."""
        if not self.mark_price or not self.liquidation_price:
            return None
        return EXACT.divide(abs(self.mark_price - self.liquidation_price), self.mark_price).normalize()


def asset_line(line: Line, equity: Decimal, price: Decimal | None) -> AssetLine:
    """A line of the wallet's arithmetic, as a statement shows it."""
    sums = dict.fromkeys(("trading", "fees", "funding", "transfers", "other"), ZERO)
    for kind, amount in line.changes.items():
        group = GROUPS.get(kind, "other")
        sums[group] = EXACT.add(sums[group], amount)
    return AssetLine(
        asset=line.asset,
        opening=line.opening,
        closing=line.closing,
        rest=line.rest,
        equity=equity,
        price=price,
        **sums,
    )


def label_lines(fills: Iterable[Fill], valuation: Valuation) -> list[LabelLine]:
    """By label; of fills whose worth nobody knows the number counts alone, of combos their legs."""
    found: dict[str, LabelLine] = {}
    for fill in fills:
        if fill.combo:
            continue
        before = found.get(fill.label) or LabelLine(
            label=fill.label, fills=0, volume=ZERO, realized=ZERO, fees=ZERO
        )
        found[fill.label] = LabelLine(
            label=fill.label,
            fills=before.fills + 1,
            volume=before.volume + (valuation.notional(fill.symbol, fill.quantity, fill.price) or ZERO),
            realized=before.realized + (_realized(fill, valuation) or ZERO),
            fees=before.fees + (valuation.worth(fill.fee_asset, fill.fee) or ZERO),
        )
    return sorted(found.values(), key=lambda one: one.label)


def _realized(fill: Fill, valuation: Valuation) -> Decimal | None:
    terms = valuation.terms.get(fill.symbol)
    if terms is None or fill.realized_pnl is None:
        return None
    return valuation.worth(terms.settlement or terms.quote, fill.realized_pnl)


def margin_ratio(balances: Iterable[Balance]) -> Decimal | None:
    """Maintenance margin by equity, of the asset that is nearest to 1; None where no exchange tells it."""
    ratios = [
        EXACT.divide(one.maintenance_margin, one.equity)
        for one in balances
        if one.maintenance_margin is not None and one.equity is not None and one.equity > 0
    ]
    return max(ratios, default=None)


def risks(positions: Iterable[Position]) -> list[Risk]:
    """Open positions, the nearest to liquidation first."""
    found = [
        Risk(
            symbol=one.symbol,
            position_side=one.position_side,
            quantity=one.quantity,
            mark_price=one.mark_price,
            liquidation_price=one.liquidation_price,
        )
        for one in positions
        if one.quantity
    ]
    far = Decimal("Infinity")
    return sorted(found, key=lambda one: (one.distance if one.distance is not None else far, one.symbol))


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Equity and profit over time, in USD; None: not known."""

    times: Sequence[int]
    equity: Sequence[Decimal | None]
    profit: Sequence[Decimal | None]
    """Equity less what it began with and what was moved in since: trading alone."""


def curve_of(
    balances: Iterable[Balance], movements: Iterable[Movement], times: Sequence[int], price: Price
) -> Curve:
    """One account's; before its first balance nothing is known.

    An asset counts from the moment on at which its price is known: what was held of it then is no profit.
    """
    held = _Holdings(balances)
    moved = sorted((row for row in movements if row.kind in TRANSFERS), key=lambda row: row.event_time)
    equity: list[Decimal | None] = []
    profit: list[Decimal | None] = []
    begun: dict[str, tuple[int, Decimal]] = {}
    first: int | None = None
    for at in times:
        worth = held.worth(at, price)
        equity.append(sum(worth.values(), ZERO) if worth else None)
        if not worth:
            profit.append(None)
            continue
        first = at if first is None else first
        for asset, amount in worth.items():
            if asset not in begun:
                begun[asset] = (at, amount) if held.known(asset, first) else (first, ZERO)
        profit.append(_profit(worth, begun, moved, at, price))
    return Curve(times=times, equity=equity, profit=profit)


def _profit(
    worth: Mapping[str, Decimal],
    begun: Mapping[str, tuple[int, Decimal]],
    moved: Iterable[Movement],
    at: int,
    price: Price,
) -> Decimal:
    """What there is, less what there was and what was put in since."""
    found = ZERO
    for asset, amount in worth.items():
        found = EXACT.add(found, EXACT.subtract(amount, begun[asset][1]))
    for row in moved:
        since = begun[row.asset][0] if row.asset in begun else at
        if since < row.event_time <= at and (known := price(row.asset, row.event_time)) is not None:
            found = EXACT.subtract(found, EXACT.multiply(row.change, known))
    return found


def together(curves: Sequence[Curve]) -> Curve:
    """All accounts as one: each counts from when it is known."""
    times = curves[0].times if curves else ()
    return Curve(
        times=times,
        equity=[_summed([one.equity[at] for one in curves]) for at in range(len(times))],
        profit=[_summed([one.profit[at] for one in curves]) for at in range(len(times))],
    )


def _summed(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, ZERO) if known else None


class _Holdings:
    """What was held at each moment: the last balance before it, with what open positions would bring."""

    def __init__(self, balances: Iterable[Balance]) -> None:
        self._times: dict[str, list[int]] = {}
        self._amounts: dict[str, list[Decimal]] = {}
        floating: dict[str, Decimal] = {}
        for one in sorted(balances, key=lambda one: (one.event_time, one.receive_time)):
            if one.equity is not None:
                floating[one.asset] = EXACT.subtract(one.equity, one.total)
            # Not every message tells the equity: what positions would bring is carried on.
            self._times.setdefault(one.asset, []).append(one.event_time)
            self._amounts.setdefault(one.asset, []).append(one.total + floating.get(one.asset, ZERO))

    def known(self, asset: str, at: int) -> bool:
        """Its balance had been told by then."""
        return self._times[asset][0] <= at

    def worth(self, at: int, price: Price) -> dict[str, Decimal]:
        """By asset, in USD; what nobody can price is not there."""
        found = {}
        for asset, times in self._times.items():
            before = bisect_right(times, at)
            if before and (known := price(asset, at)) is not None:
                found[asset] = EXACT.multiply(self._amounts[asset][before - 1], known)
        return found
