"""Bounded, and by symbol."""

from __future__ import annotations

from decimal import Decimal

from trade_platform.domain.accounts import OrderEvent, OrderState
from trade_platform.domain.model import Side
from trade_platform.exchanges.binance.private.parents import KEPT, Parents


def order(order_id: str, symbol: str = "BTCUSDT") -> OrderEvent:
    one = Decimal(1)
    return OrderEvent(symbol, order_id, OrderState.OPEN, "NEW", "NEW", Side.BUY, "LIMIT", one, one, 1, 1)


def test_each_symbol_counts_its_own_orders() -> None:
    parents = Parents()
    assert parents.made(order("algo-1"), "7", "ALGO_UPDATE") == []
    assert parents.child(order("7", "ETHUSDT")).parent_id == ""
    assert parents.child(order("7")).parent_id == "algo-1"


def test_what_was_said_is_not_said_again() -> None:
    parents = Parents()
    parents.child(order("7"))
    assert [one.parent_id for one in parents.made(order("algo-1"), "7", "ALGO_UPDATE")] == ["algo-1"]
    assert parents.made(order("algo-1"), "7", "ALGO_UPDATE") == []


def test_only_so_many_are_remembered() -> None:
    parents = Parents()
    for number in range(2 * KEPT):
        parents.child(order(str(number)))
        parents.made(order("algo-1"), f"made-{number}", "ALGO_UPDATE")
    assert parents.made(order("algo-1"), "0", "ALGO_UPDATE") == []
    assert parents.child(order("made-0")).parent_id == ""
    assert parents.child(order(f"made-{2 * KEPT - 1}")).parent_id == "algo-1"
