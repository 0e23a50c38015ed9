"""Opening + movements = closing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.accounts import Fill, Movement, MovementKind, Position
from trade_platform.domain.difference import DifferenceKind
from trade_platform.domain.model import Side
from trade_platform.domain.valuation import Terms
from trade_platform.domain.wallet import (
    Ledger,
    Line,
    WalletRule,
    account_for,
    chain,
    legs_of,
    legs_of_fill,
    legs_of_movement,
    off,
    positions_moved,
    rule_of,
    unexplained,
)

D = Decimal
SPOT = Terms(base="BTC", quote="USDT")
CHAIN = rule_of("deribit")


def movement(change: str, **more: Any) -> Movement:
    fields = {
        "movement_id": f"m{more.get('sequence', 0)}",
        "kind": MovementKind.TRADE,
        "word": "trade",
        "asset": "BTC",
        "change": D(change),
        "event_time": 1,
        "receive_time": 1,
    }
    return Movement(**{**fields, **more})


def fill(side: Side = Side.BUY, **more: Any) -> Fill:
    fields = {
        "symbol": "BTCUSDT",
        "fill_id": "1",
        "order_id": "2",
        "side": side,
        "price": D("50000.1"),
        "quantity": D("0.3"),
        "event_time": 1,
        "receive_time": 1,
    }
    return Fill(**{**fields, **more})


def test_a_spot_fill_brings_takes_and_costs() -> None:
    legs = legs_of_fill(fill(fee=D("0.001"), fee_asset="BNB"), SPOT)
    assert [(leg.asset, leg.kind, leg.amount) for leg in legs] == [
        ("BTC", MovementKind.TRADE, D("0.3")),
        ("USDT", MovementKind.TRADE, D("-15000.03")),
        ("BNB", MovementKind.FEE, D("-0.001")),
    ]
    sold = legs_of_fill(fill(Side.SELL, quote_quantity=D("15000.02")), SPOT)
    assert [leg.amount for leg in sold] == [D("-0.3"), D("15000.02")]


def test_fee_and_funding_that_one_row_holds_stand_by_themselves() -> None:
    legs = legs_of_movement(movement("-0.5", fee=D("0.2"), funding=D("0.1")))
    assert {leg.kind: leg.amount for leg in legs} == {
        MovementKind.FEE: D("-0.2"),
        MovementKind.FUNDING: D("0.1"),
        MovementKind.TRADE: D("-0.4"),
    }


@given(
    st.decimals(-100, 100, places=8),
    st.none() | st.decimals(-9, 9, places=8),
    st.none() | st.decimals(-9, 9, places=8),
)
def test_the_parts_of_a_row_are_its_change(
    change: Decimal, fee: Decimal | None, funding: Decimal | None
) -> None:
    row = movement("0")
    legs = legs_of_movement(Movement(*[*_fields(row)[:4], change, 1, 1], fee=fee, funding=funding))
    assert sum((leg.amount for leg in legs), D(0)) == change


def _fields(row: Movement) -> list[Any]:
    return [getattr(row, name) for name in row.__struct_fields__]


def test_a_trade_is_counted_once_where_the_ledger_has_it_too() -> None:
    rows = [movement("5", kind=MovementKind.DEPOSIT)]
    assert len(legs_of(rule_of("binance_usdm"), [fill()], rows, {"BTCUSDT": SPOT})) == 1
    assert len(legs_of(rule_of("binance_spot"), [fill()], rows, {"BTCUSDT": SPOT})) == 3
    assert len(legs_of(rule_of("binance_spot"), [fill()], rows, {})) == 1


def test_what_the_movements_do_not_explain_is_said() -> None:
    legs = legs_of_movement(movement("2"))
    (line,) = account_for({"BTC": D(10)}, legs, {"BTC": D("12.5")})
    assert (line.expected, line.rest) == (D(12), D("0.5"))
    (found,) = unexplained([line], WalletRule())
    assert (found.key, found.field, found.ours, found.theirs) == ("BTC", "closing", "12", "12.5")
    assert unexplained(account_for({"BTC": D(10)}, legs, {"BTC": D(12)}), WalletRule()) == []


def test_an_asset_that_came_or_went_has_a_line() -> None:
    lines = account_for({"ETH": D(1)}, legs_of_movement(movement("2")), {"BTC": D(2)})
    assert [(line.asset, line.rest) for line in lines] == [("BTC", D(0)), ("ETH", D(-1))]


def test_each_row_may_be_rounded_by_one_step_and_no_more() -> None:
    line = Line(asset="BTC", opening=D(0), closing=D("3e-8"), changes={}, rows=3)
    assert off([line], CHAIN) == []
    assert off([Line(asset="BTC", opening=D(0), closing=D("4e-8"), changes={}, rows=3)], CHAIN) != []


def test_a_chain_of_balances_holds() -> None:
    """As Deribit tells it: the count runs through two currencies."""
    rows = [
        movement("-0.1", sequence=7, balance=D("9.9")),
        movement("1", sequence=8, balance=D(51), asset="ETH"),
        movement("0.2", sequence=9, balance=D("10.1")),
        movement("-1", sequence=10, balance=D(50), asset="ETH"),
    ]
    assert chain(rows, CHAIN) == []
    assert chain(rows[::-1], CHAIN) == []


def test_a_row_that_is_missing_in_the_chain_is_counted_and_breaks_it() -> None:
    rows = [movement(str(n), sequence=n, balance=D(n * (n + 1) // 2)) for n in range(1, 8) if n not in (3, 4)]
    jump, broken = chain(rows, CHAIN)
    assert (jump.key, jump.kind, jump.field, jump.theirs) == ("3-4", DifferenceKind.MISSING, "sequence", "2")
    assert (broken.field, broken.ours, broken.theirs) == ("balance", "8", "15")


def test_a_position_is_its_opening_and_its_fills() -> None:
    held = Position(symbol="BTCUSDT", quantity=D(1), event_time=0, receive_time=0)
    now = Position(symbol="BTCUSDT", quantity=D("1.3"), event_time=0, receive_time=0)
    fills = [fill(), fill(combo=True, quantity=D(7)), fill(Side.SELL, symbol="ETHUSDT", quantity=D(2))]
    (found,) = positions_moved([held], fills, [now], but=frozenset())
    assert (found.key, found.ours, found.theirs) == ("ETHUSDT|", "-2", "0")
    assert positions_moved([held], fills, [now], but=frozenset({"ETHUSDT"})) == []


def test_exchanges_tell_what_changed_in_their_own_way() -> None:
    assert [rule_of(name).ledger for name in ("deribit", "binance_usdm", "binance_spot", "fictional")] == [
        Ledger.CHAIN,
        Ledger.CHANGES,
        Ledger.FILLS,
        Ledger.CHANGES,
    ]
