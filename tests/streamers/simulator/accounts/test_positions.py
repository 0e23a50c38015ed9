"""Positions: averages, what is realised, and what crosses zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streamers.simulator.accounts.book_shapes import SimPosition
from streamers.simulator.accounts.positions import after_fill, gain


def position(quantity: int, at: int) -> SimPosition:
    return SimPosition(
        symbol="X", asset="BTC", quantity=Decimal(quantity), entry=Decimal(at), basis=Decimal(at)
    )


@pytest.mark.parametrize(
    ("held", "signed", "parts"),
    [
        (0, 10, [("open", 10, 10)]),
        (10, 5, [("open", 5, 15)]),
        (10, -4, [("close", 4, 6)]),
        (10, -10, [("close", 10, 0)]),
        (10, -15, [("close", 10, 0), ("open", 5, -5)]),
        (-10, 15, [("close", 10, 0), ("open", 5, 5)]),
    ],
)
def test_parts(held: int, signed: int, parts: list[tuple[str, int, int]]) -> None:
    after, got = after_fill(position(held, 100), Decimal(signed), Decimal(200), 1, inverse=False)
    assert [(one.effect, one.quantity, one.position) for one in got] == parts
    assert after.quantity == held + signed


def test_linear_average_and_profit() -> None:
    after, _ = after_fill(position(10, 100), Decimal(10), Decimal(200), 1, inverse=False)
    assert after.entry == 150
    closed, (part,) = after_fill(after, Decimal(-5), Decimal(170), 2, inverse=False)
    assert (part.realized, closed.entry, closed.realized) == (100, 150, 100)
    turned, parts = after_fill(after, Decimal(-25), Decimal(140), 2, inverse=False)
    assert (parts[0].realized, parts[1].realized) == (-200, 0)
    assert (turned.quantity, turned.entry) == (-5, 140)


def test_inverse_average_counts_coins() -> None:
    """100 USD at 50,000 and 100 at 100,000 are 0.003 coins: 66,666.67 each."""
    after, _ = after_fill(position(100, 50_000), Decimal(100), Decimal(100_000), 1, inverse=True)
    assert round(after.entry, 4) == Decimal("66666.6667")
    assert gain(Decimal(100), Decimal(50_000), Decimal(100_000), inverse=True) == Decimal("0.001")
    assert gain(Decimal(-100), Decimal(50_000), Decimal(100_000), inverse=True) == Decimal("-0.001")


def test_a_documented_position() -> None:
    """185,160 USD long at 16,025.83 when 17,391 is the mark: 0.907 coins."""
    assert round(gain(Decimal(185_160), Decimal("16025.83"), Decimal(17_391), inverse=True), 4) == Decimal(
        "0.9070"
    )


def test_what_is_closed_is_nothing() -> None:
    after, _ = after_fill(position(10, 100), Decimal(-10), Decimal(90), 1, inverse=False)
    assert (after.quantity, after.entry, after.basis, after.realized) == (0, 0, 0, -100)
