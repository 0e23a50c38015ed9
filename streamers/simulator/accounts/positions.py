"""What a fill does to a position: it opens, adds, closes, or closes and opens the other way."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from streamers.simulator.accounts.book_shapes import ZERO, SimPosition

COIN = Decimal("0.00000001")
"""To this every amount of money is rounded before it moves: sums of movements are exact."""


class Part(NamedTuple):
    """A fill, or the half of it that closes or opens."""

    effect: Literal["open", "close"]
    quantity: Decimal
    """Above 0."""
    realized: Decimal
    position: Decimal
    """After it, signed."""


def coin(value: Decimal) -> Decimal:
    """Rounded to what can be paid."""
    return value.quantize(COIN)


def worth(quantity: Decimal, price: Decimal, *, inverse: bool) -> Decimal:
    """What a quantity counts in the asset of settlement, unrounded; an inverse contract counts coins."""
    return quantity / price if inverse else quantity * price


def gain(quantity: Decimal, since: Decimal, now: Decimal, *, inverse: bool) -> Decimal:
    """Profit of a signed quantity between two prices, rounded."""
    if not quantity:
        return ZERO
    if inverse:
        return coin(quantity / since - quantity / now)
    return coin(quantity * (now - since))


def after_fill(
    position: SimPosition, signed: Decimal, price: Decimal, time: int, *, inverse: bool
) -> tuple[SimPosition, list[Part]]:
    """The position after ``signed`` more, and its parts: two where it crosses zero.

    What is realised counts from ``basis``: without settlements that is the entry.
    """
    held = position.quantity
    closing = ZERO
    if held * signed < 0:
        closing = min(abs(held), abs(signed)).copy_sign(signed)
    opening = signed - closing
    parts = []
    realized = ZERO
    if closing:
        realized = gain(-closing, position.basis, price, inverse=inverse)
        parts.append(Part("close", abs(closing), realized, held + closing))
    if opening:
        parts.append(Part("open", abs(opening), ZERO, held + signed))
    left = held + closing
    return (
        msgspec.structs.replace(
            position,
            quantity=held + signed,
            entry=_average(left, position.entry, opening, price, inverse=inverse),
            basis=_average(left, position.basis, opening, price, inverse=inverse),
            realized=position.realized + realized,
            updated=time,
        ),
        parts,
    )


def _average(held: Decimal, at: Decimal, more: Decimal, price: Decimal, *, inverse: bool) -> Decimal:
    """Of two quantities of one sign; inverse contracts are averaged by what they count in coins."""
    if not held + more:
        return ZERO
    if not more or not held:
        return price if more else at
    if inverse:
        return (held + more) / (held / at + more / price)
    return (held * at + more * price) / (held + more)
