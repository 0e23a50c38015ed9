"""What an account did: lines, labels, curve, risk."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.domain.account_week import EXCHANGES, START, week_of
from trade_platform.domain.account_proof import prove
from trade_platform.domain.accounts import Balance, Fill, Movement, MovementKind, Position
from trade_platform.domain.model import DAY, Side
from trade_platform.domain.statement import (
    asset_line,
    curve_of,
    label_lines,
    margin_ratio,
    risks,
    together,
)
from trade_platform.domain.valuation import Terms, Valuation
from trade_platform.domain.wallet import Line

D = Decimal
NOON = START


def balance(asset: str, total: str, at: int = NOON, **more: Any) -> Balance:
    return Balance(asset=asset, total=D(total), event_time=at, receive_time=at, **more)


def moved(kind: MovementKind, change: str, at: int = NOON) -> Movement:
    return Movement(
        movement_id=f"{kind}{at}",
        kind=kind,
        word="",
        asset="BTC",
        change=D(change),
        event_time=at,
        receive_time=at,
    )


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_line_comes_out_whatever_happened(exchange: str) -> None:
    week = week_of(exchange, 3)
    proof = prove(week.held(), week.told(), week.opening, exchange=exchange, valuation=week.valuation)
    for line in proof.lines:
        shown = asset_line(line, line.closing, D(1))
        between = shown.trading + shown.fees + shown.funding + shown.transfers + shown.other
        assert shown.opening + between + shown.rest == shown.closing
        assert shown.rest == 0


def test_every_kind_of_movement_is_shown_somewhere() -> None:
    for kind in MovementKind:
        line = Line(asset="BTC", opening=D(0), closing=D(7), changes={kind: D(7)}, rows=1)
        shown = asset_line(line, D(7), None)
        assert shown.trading + shown.fees + shown.funding + shown.transfers + shown.other == 7
        assert shown.worth is None


def test_strategies_are_told_apart_by_label_and_valued_in_dollars() -> None:
    def fill(label: str, **more: Any) -> Fill:
        told: dict[str, Any] = {
            "symbol": "BTC-PERPETUAL",
            "fill_id": "1",
            "order_id": "1",
            "side": Side.BUY,
            "price": D(50_000),
            "quantity": D(100),
            "event_time": 1,
            "receive_time": 1,
            "fee": D("0.001"),
            "fee_asset": "BTC",
            "realized_pnl": D("0.01"),
            "label": label,
        }
        return Fill(**{**told, **more})

    valuation = Valuation(
        prices={"BTC": D(50_000)},
        terms={"BTC-PERPETUAL": Terms(base="BTC", quote="USD", settlement="BTC", inverse=True)},
    )
    fills = [fill("grid"), fill("grid"), fill(""), fill("", combo=True), fill("grid", symbol="unknown")]
    none, grid = label_lines(fills, valuation)
    assert (none.label, none.fills, none.volume, none.realized) == ("", 1, D(100), D(500))
    assert (grid.fills, grid.volume, grid.realized, grid.fees) == (3, D(200), D(1000), D(150))


def test_profit_is_equity_less_what_it_began_with_and_what_was_put_in() -> None:
    times = [NOON, NOON + DAY, NOON + 2 * DAY]
    rows = [balance("BTC", "1"), balance("BTC", "3", NOON + DAY - 1), balance("BTC", "3.5", NOON + 2 * DAY)]
    put_in = [moved(MovementKind.DEPOSIT, "2", NOON + DAY - 1), moved(MovementKind.FUNDING, "9", NOON + 1)]
    prices = dict(zip(times, (D(100), D(100), D(110)), strict=True))
    curve = curve_of(rows, put_in, times, lambda _, at: prices.get(at, D(100)))
    assert curve.equity == [D(100), D(300), D("385.0")]
    assert curve.profit == [D(0), D(0), D("85.0")]


def test_what_positions_would_bring_is_carried_on_where_a_message_does_not_tell_it() -> None:
    rows = [balance("BTC", "1", equity=D("1.5")), balance("BTC", "2", NOON + 1)]
    curve = curve_of(rows, [], [NOON - 1, NOON, NOON + 1], lambda *_: D(1))
    assert curve.equity == [None, D("1.5"), D("2.5")]


def test_an_asset_without_a_price_is_left_out() -> None:
    rows = [balance("BTC", "1"), balance("DOGE", "5")]
    curve = curve_of(rows, [], [NOON], lambda asset, _: D(10) if asset == "BTC" else None)
    assert curve.equity == [D(10)]


def test_an_asset_whose_price_comes_to_be_known_later_is_no_profit() -> None:
    rows = [
        balance("BTC", "1"),
        balance("USDT", "50"),
        balance("USDT", "40", NOON + 2),
        balance("ETH", "1", NOON + 2),
    ]
    prices = {"BTC": {NOON + 1: D(100), NOON + 2: D(110)}, "ETH": {NOON + 2: D(10)}}
    curve = curve_of(
        rows,
        [],
        [NOON, NOON + 1, NOON + 2],
        lambda asset, at: D(1) if asset == "USDT" else prices[asset].get(at),
    )
    assert curve.equity == [D(50), D(150), D(160)]
    assert curve.profit == [D(0), D(0), D(10)]


def test_accounts_together_are_the_sum_of_those_that_are_known() -> None:
    one = curve_of([balance("BTC", "1")], [], [NOON - 1, NOON], lambda *_: D(1))
    other = curve_of([balance("BTC", "2", NOON - 1)], [], [NOON - 1, NOON], lambda *_: D(1))
    assert together([one, other]).equity == [D(2), D(3)]
    assert together([]).times == ()


def test_margin_is_that_of_the_asset_nearest_to_the_end() -> None:
    rows = [
        balance("BTC", "1", equity=D(4), maintenance_margin=D(1)),
        balance("ETH", "1", equity=D(2), maintenance_margin=D(1)),
        balance("USDT", "1"),
    ]
    assert margin_ratio(rows) == D("0.5")
    assert margin_ratio([balance("BTC", "1")]) is None


def test_the_position_nearest_to_its_liquidation_comes_first() -> None:
    def position(symbol: str, quantity: int, liquidation: int | None) -> Position:
        return Position(
            symbol=symbol,
            quantity=D(quantity),
            event_time=1,
            receive_time=1,
            mark_price=D(100),
            liquidation_price=None if liquidation is None else D(liquidation),
        )

    found = risks(
        [position("A", 1, None), position("B", -1, 110), position("C", 1, 95), position("D", 0, 99)]
    )
    assert [(one.symbol, one.distance) for one in found] == [("C", D("0.05")), ("B", D("0.1")), ("A", None)]
