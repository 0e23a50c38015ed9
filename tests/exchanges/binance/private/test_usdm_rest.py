"""Questions about a USD-M account, and answers of all sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.exchanges.binance.private.serving import DAY, RECEIVED, all_of, serving
from trade_platform.domain.accounts import (
    Balance,
    Fill,
    Movement,
    MovementKind,
    OrderEvent,
    OrderState,
    Origin,
    Position,
)
from trade_platform.domain.model import Side
from trade_platform.exchanges.account import Known
from trade_platform.exchanges.binance.private import UsdmAccounts, walk
from trade_platform.exchanges.session import ProtocolViolation

USDM = UsdmAccounts()
MILLISECOND = 1000
WEEK = 7 * DAY


def trade(number: int, time: int, **changes: Any) -> dict[str, Any]:
    return {
        "buyer": False, "commission": "0.078", "commissionAsset": "USDT", "id": number, "maker": False,
        "orderId": 25851813, "price": "7819.01", "qty": "0.002", "quoteQty": "15.63802",
        "realizedPnl": "-0.91539999", "side": "SELL", "positionSide": "SHORT", "symbol": "BTCUSDT",
        "time": time, **changes,
    }  # fmt: skip


def income(number: int, time: int, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "incomeType": "COMMISSION", "income": "-0.01", "asset": "USDT",
        "info": "COMMISSION", "time": time, "tranId": number, "tradeId": "2059192", **changes,
    }  # fmt: skip


def test_balances_tell_margins(message: Callable[[str], str]) -> None:
    (ask,) = USDM.balances()
    assert ask.request.path == "/fapi/v3/account"
    (one,) = ask.read(message("binance_usdm/account_info_v2").encode(), RECEIVED).records
    total = Decimal("23.72469206")
    zero = Decimal(0)
    assert one == Balance(
        asset="USDT",
        total=total,
        event_time=1_625_474_304_765_000,
        receive_time=RECEIVED,
        available=total,
        equity=total,
        initial_margin=zero,
        maintenance_margin=zero,
        origin=Origin.SNAPSHOT,
    )


def test_positions_are_open_ones(message: Callable[[str], str]) -> None:
    (ask,) = USDM.positions()
    rows = json.loads(message("binance_usdm/position_risk"))
    closed = rows[0] | {"symbol": "ETHUSDT", "positionAmt": "0.000"}
    isolated = rows[0] | {"positionSide": "SHORT", "positionAmt": "-2", "isolatedMargin": "1.5"}
    del isolated["marginType"]
    one, other = ask.read(json.dumps([*rows, closed, isolated]).encode(), RECEIVED).records
    assert one == Position(
        symbol="BTCUSDT",
        quantity=Decimal("0.001"),
        event_time=1_625_474_304_765_000,
        receive_time=RECEIVED,
        average_price=Decimal("50000.0"),
        mark_price=Decimal("51000.0"),
        liquidation_price=Decimal("45000.0"),
        unrealized_pnl=Decimal("1.00000000"),
        margin_mode="cross",
        origin=Origin.SNAPSHOT,
    )
    assert isinstance(other, Position)
    assert (other.position_side, other.quantity, other.margin_mode) == ("SHORT", -2, "isolated")


def test_open_orders_are_two_lists(message: Callable[[str], str]) -> None:
    plain, conditional = USDM.open_orders()
    assert [one.request.path for one in (plain, conditional)] == [
        "/fapi/v1/openOrders",
        "/fapi/v1/openAlgoOrders",
    ]
    (order,) = plain.read(f"[{message('binance_usdm/order_response')}]".encode(), RECEIVED).records
    assert (order.order_id, order.state, order.price) == ("12345678", OrderState.OPEN, Decimal(50000))
    (order,) = conditional.read(message("binance_usdm/open_algo_orders").encode(), RECEIVED).records
    assert (order.order_id, order.state, order.trigger_price) == (
        "algo-123456789",
        OrderState.UNTRIGGERED,
        Decimal(45000),
    )
    assert (order.order_type, order.client_id, order.quantity) == (
        "STOP_MARKET",
        "test-algo-order-1",
        Decimal("0.001"),
    )


def test_one_order(message: Callable[[str], str]) -> None:
    (ask,) = USDM.order("BTCUSDT", "12345678")
    assert (ask.request.path, ask.absent) == ("/fapi/v1/order", {-2013})
    (order,) = ask.read(message("binance_usdm/order_response").encode(), RECEIVED).records
    assert isinstance(order, OrderEvent)
    assert order.created == order.event_time == 1_625_474_304_765_000
    (ask,) = USDM.order("BTCUSDT", "algo-123456789")
    assert ask.request.query["algoId"] == 123456789
    body = message("binance_usdm/open_algo_orders").encode()
    assert [one.order_id for one in ask.read(body, RECEIVED).records] == ["algo-123456789"]
    assert ask.read(body.replace(b"123456789", b"123456790"), RECEIVED).records == []
    assert USDM.order("BTCUSDT", "sim-1") == []


def test_a_fill() -> None:
    (ask,) = USDM.fills(Known(symbols=frozenset({"BTCUSDT"})), 0, DAY * MILLISECOND)
    (fill,) = ask.read(json.dumps([trade(2**53 + 1, 1569514978020)]).encode(), RECEIVED).records
    assert fill == Fill(
        symbol="BTCUSDT",
        fill_id="9007199254740993",
        order_id="25851813",
        side=Side.SELL,
        price=Decimal("7819.01"),
        quantity=Decimal("0.002"),
        event_time=1_569_514_978_020_000,
        receive_time=RECEIVED,
        fee=Decimal("0.078"),
        fee_asset="USDT",
        maker=False,
        realized_pnl=Decimal("-0.91539999"),
        sequence=2**53 + 1,
        position_side="SHORT",
        origin=Origin.HISTORY,
    )


@pytest.mark.parametrize("days", [3, 7, 40])
def test_fills_of_some_days(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr(walk, "PAGE", 10)
    rows = [trade(number, number * DAY // 3) for number in range(150)]
    since, until = DAY * MILLISECOND, (1 + days) * DAY * MILLISECOND
    serve = serving(rows, number="id", cursor="fromId", longest=WEEK)
    records = all_of(USDM.fills(Known(last_fills={"BTCUSDT": "149"}), since, until), serve)
    found = [int(one.fill_id) for one in records if isinstance(one, Fill)]
    assert found == list(range(3, 3 + 3 * days))


def test_orders_of_all_symbols_and_conditional_ones_of_each(
    monkeypatch: pytest.MonkeyPatch, message: Callable[[str], str]
) -> None:
    monkeypatch.setattr(walk, "PAGE", 4)
    row = json.loads(message("binance_usdm/order_response"))
    rows = [
        row | {"orderId": number, "time": number * DAY // 3, "symbol": f"{'AB'[number % 2]}USDT"}
        for number in range(60)
    ]
    (algo,) = json.loads(message("binance_usdm/open_algo_orders"))
    algos = [algo | {"algoId": number, "createTime": number * DAY // 3} for number in range(60)]
    ordinary, *conditional = USDM.orders(
        Known(symbols=frozenset({"BTCUSDT"})), DAY * MILLISECOND, 10 * DAY * MILLISECOND
    )
    assert "symbol" not in ordinary.request.query
    found = all_of([ordinary], serving(rows, number="orderId", longest=WEEK))
    assert sorted(int(one.order_id) for one in found if isinstance(one, OrderEvent)) == list(range(30))
    serve = serving(algos, number="algoId", cursor="algoId", time="createTime", longest=WEEK)
    found = all_of(conditional, serve)
    assert [one.order_id for one in found if isinstance(one, OrderEvent)] == [f"algo-{n}" for n in range(30)]


def test_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's last moment is asked again: what came of it already is known by its id."""
    monkeypatch.setattr(walk, "PAGE", 6)
    rows = []
    for number in range(60):  # a fill's profit and commission share number and moment
        rows.append(income(number, number * DAY // 4, incomeType="REALIZED_PNL", income="1.5"))
        rows.append(income(number, number * DAY // 4))
        rows.append(income(number, number * DAY // 4, asset="BNB"))
    serve = serving(rows, longest=WEEK)
    records = all_of(USDM.movements(Known(), DAY * MILLISECOND, 12 * DAY * MILLISECOND), serve)
    names = [one.movement_id for one in records if isinstance(one, Movement)]
    assert len(names) == len(set(names)) == 3 * 44
    assert {"REALIZED_PNL:4:USDT", "COMMISSION:4:USDT", "COMMISSION:4:BNB"} <= set(names)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("TRANSFER", MovementKind.TRANSFER),
        ("REALIZED_PNL", MovementKind.REALIZED_PNL),
        ("FUNDING_FEE", MovementKind.FUNDING),
        ("COMMISSION", MovementKind.FEE),
        ("INSURANCE_CLEAR", MovementKind.INSURANCE),
        ("API_REBATE", MovementKind.REBATE),
        ("DELIVERED_SETTELMENT", MovementKind.SETTLEMENT),
        ("MYSTERY_GIFT", MovementKind.OTHER),
    ],
)
def test_words_of_the_ledger(word: str, kind: MovementKind) -> None:
    (ask,) = USDM.movements(Known(), 0, DAY * MILLISECOND)
    row = income(9689322392, 1570608000000, incomeType=word, income="-0.375", tradeId="")
    (one,) = ask.read(json.dumps([row]).encode(), RECEIVED).records
    assert one == Movement(
        movement_id=f"{word}:9689322392:USDT",
        kind=kind,
        word=word,
        asset="USDT",
        change=Decimal("-0.375"),
        event_time=1_570_608_000_000_000,
        receive_time=RECEIVED,
        symbol="BTCUSDT",
    )


def test_one_row_that_cannot_be_read_is_no_answer() -> None:
    (ask,) = USDM.movements(Known(), 0, DAY * MILLISECOND)
    with pytest.raises(ProtocolViolation):
        ask.read(json.dumps([income(1, 1), income(2, 2, income="much")]).encode(), RECEIVED)


def test_how_far_back_it_is_told() -> None:
    """Short of what is about to be forgotten: a question takes its time."""
    now, hour = 1_800_000_000_000_000, DAY * MILLISECOND // 24
    assert USDM.reach("orders", now) == now - 3 * 24 * hour + hour
    assert USDM.reach("fills", now) == USDM.reach("movements", now) == now - 90 * 24 * hour + hour
