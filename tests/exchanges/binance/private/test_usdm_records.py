"""What USD-M's events say, against captured messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.exchanges.binance.private.talk import NOW
from trade_platform.domain.accounts import (
    AccountNote,
    Balance,
    Fill,
    NoteKind,
    OrderEvent,
    OrderState,
    Position,
)
from trade_platform.domain.model import Side
from trade_platform.exchanges.account import AccountSession
from trade_platform.exchanges.binance.private.wire import LAST


def update(message: Callable[[str], str], **changes: Any) -> str:
    """A captured order, altered; None takes a key away."""
    frame = json.loads(message("binance_usdm/order_update_trade"))
    frame["o"] |= changes
    frame["o"] = {key: value for key, value in frame["o"].items() if value is not None}
    return json.dumps(frame)


def test_a_fill_and_its_order(usdm: AccountSession, message: Callable[[str], str]) -> None:
    order, fill = usdm.receive(message("binance_usdm/order_update_trade_partial"), NOW)
    at = 1_568_879_465_651_000
    assert order == OrderEvent(
        symbol="BTCUSDT",
        order_id="8886774",
        state=OrderState.OPEN,
        status="PARTIALLY_FILLED",
        event="TRADE",
        side=Side.BUY,
        order_type="LIMIT",
        quantity=Decimal("0.002"),
        filled=Decimal("0.001"),
        event_time=at,
        receive_time=NOW,
        price=Decimal("7100.50"),
        average_price=Decimal("7100.50"),
        time_in_force="GTC",
        client_id="TEST",
        position_side="LONG",
        update=12345678,
    )
    assert fill == Fill(
        symbol="BTCUSDT",
        fill_id="12345678",
        order_id="8886774",
        side=Side.BUY,
        price=Decimal("7100.50"),
        quantity=Decimal("0.001"),
        event_time=at,
        receive_time=NOW,
        fee=Decimal("0.01000000"),
        fee_asset="USDT",
        maker=True,
        realized_pnl=Decimal("12.34"),
        sequence=12345678,
        position_side="LONG",
    )


def test_no_commission_no_keys(usdm: AccountSession, message: Callable[[str], str]) -> None:
    _, fill = usdm.receive(update(message, n=None, N=None, rp=None), NOW)
    assert (fill.fee, fill.fee_asset, fill.realized_pnl) == (0, "", None)


@pytest.mark.parametrize(
    ("name", "state", "liquidation", "settlement", "fills"),
    [
        ("calculated", OrderState.FILLED, True, False, 1),
        ("calculated_pending", OrderState.OPEN, True, False, 0),
        ("insurance", OrderState.FILLED, True, False, 1),
        ("adl", OrderState.FILLED, True, False, 1),
        ("settlement", OrderState.FILLED, False, True, 1),
        ("delivery", OrderState.FILLED, False, True, 1),
        ("new", OrderState.UNTRIGGERED, False, False, 0),
    ],
)
def test_what_the_exchange_trades_by_itself(
    usdm: AccountSession,
    message: Callable[[str], str],
    name: str,
    state: OrderState,
    liquidation: bool,
    settlement: bool,
    fills: int,
) -> None:
    order, *rest = usdm.receive(message(f"binance_usdm/order_update_{name}"), NOW)
    assert (order.state, order.liquidation, len(rest)) == (state, liquidation, fills)
    for fill in rest:
        assert (fill.liquidation, fill.settlement) == (liquidation, settlement)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", OrderState.OPEN),
        ("PARTIALLY_FILLED", OrderState.OPEN),
        ("FILLED", OrderState.FILLED),
        ("CANCELED", OrderState.CANCELLED),
        ("REJECTED", OrderState.REJECTED),
        ("EXPIRED", OrderState.EXPIRED),
        ("EXPIRED_IN_MATCH", OrderState.EXPIRED),
        ("SOMETHING", OrderState.UNKNOWN),
    ],
)
def test_every_word_for_an_order(
    usdm: AccountSession, message: Callable[[str], str], status: str, state: OrderState
) -> None:
    (order,) = usdm.receive(update(message, X=status, x="NEW", t=0, l="0"), NOW)
    assert (order.state, order.status) == (state, status)


def test_a_triggered_order_keeps_the_type_it_had(usdm: AccountSession, message: Callable[[str], str]) -> None:
    (order,) = usdm.receive(update(message, X="NEW", x="NEW", t=0, l="0", o="MARKET", ot="STOP_MARKET"), NOW)
    assert (order.state, order.order_type) == (OrderState.OPEN, "STOP_MARKET")


@pytest.mark.parametrize("number", ["5", 5])
def test_why_it_expired(usdm: AccountSession, message: Callable[[str], str], number: object) -> None:
    (order,) = usdm.receive(update(message, X="EXPIRED", x="EXPIRED", t=0, l="0", er=number, f="GTX"), NOW)
    assert (order.reason, order.post_only, order.update) == ("5", True, LAST)


def test_what_ends_an_order_comes_after_the_executions_of_its_millisecond(
    usdm: AccountSession, message: Callable[[str], str]
) -> None:
    (expired,) = usdm.receive(update(message, X="EXPIRED", x="EXPIRED", t=0, l="0"), NOW)
    (new,) = usdm.receive(update(message, X="NEW", x="NEW", t=0, l="0"), NOW)
    first, _ = usdm.receive(update(message, t=7), NOW)
    second, _ = usdm.receive(update(message, t=8), NOW)
    assert len({one.event_time for one in (expired, new, first, second)}) == 1
    assert sorted((expired, second, new, first), key=lambda one: one.update) == [new, first, second, expired]


def test_positions_in_hedge_mode(usdm: AccountSession, message: Callable[[str], str]) -> None:
    at = 1_564_745_798_939_000
    balance, closed, long, short = usdm.receive(message("binance_usdm/account_update"), NOW)
    assert balance == Balance("USDT", Decimal("122624.12345678"), at, NOW)
    assert (closed.position_side, closed.quantity, closed.average_price) == ("", 0, None)
    assert long == Position(
        symbol="BTCUSDT",
        quantity=Decimal(20),
        event_time=at,
        receive_time=NOW,
        position_side="LONG",
        average_price=Decimal("6563.6"),
        unrealized_pnl=Decimal("2850.21200"),
        realized_pnl=Decimal(0),
        margin_mode="isolated",
    )
    assert (short.position_side, short.quantity) == ("SHORT", -10)


def test_an_account_without_positions(usdm: AccountSession, message: Callable[[str], str]) -> None:
    (one,) = usdm.receive(message("binance_usdm/account_update_bnfcr"), NOW)
    assert (one.asset, one.total) == ("BNFCR", Decimal("5001.28983031"))
    (one,) = usdm.receive(
        '{"e":"ACCOUNT_UPDATE","E":2,"T":1,"a":{"m":"FUNDING_FEE","S":"BTCUSDT","B":[{"a":"USDT","wb":"9.5","cw":"9","bc":"-0.5"}]}}',
        NOW,
    )
    assert one == Balance("USDT", Decimal("9.5"), 1000, NOW)


def test_a_conditional_order(usdm: AccountSession, message: Callable[[str], str]) -> None:
    (order,) = usdm.receive(message("binance_usdm/algo_update_new"), NOW)
    assert order == OrderEvent(
        symbol="BNBUSDT",
        order_id="algo-2148719",
        state=OrderState.UNTRIGGERED,
        status="NEW",
        event="NEW",
        side=Side.SELL,
        order_type="TAKE_PROFIT",
        quantity=Decimal("0.01"),
        filled=Decimal(0),
        event_time=1_750_515_742_297_000,
        receive_time=NOW,
        price=Decimal(750),
        trigger_price=Decimal(750),
        time_in_force="GTC",
        client_id="Q5xaq5EGKgXXa0fD7fs0Ip",
    )
    (order,) = usdm.receive(message("binance_usdm/algo_update_canceled"), NOW)
    assert (order.state, order.reason) == (OrderState.CANCELLED, "Reduce Only reject")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("TRIGGERING", OrderState.UNTRIGGERED),
        ("TRIGGERED", OrderState.TRIGGERED),
        ("FINISHED", OrderState.TRIGGERED),
        ("REJECTED", OrderState.REJECTED),
        ("EXPIRED", OrderState.EXPIRED),
        ("PAUSED", OrderState.UNKNOWN),
    ],
)
def test_every_word_for_a_conditional_order(
    usdm: AccountSession, message: Callable[[str], str], status: str, state: OrderState
) -> None:
    frame = json.loads(message("binance_usdm/algo_update_new"))
    frame["o"]["X"] = status
    (order,) = usdm.receive(json.dumps(frame), NOW)
    assert (order.state, order.status) == (state, status)


def test_notes(usdm: AccountSession) -> None:
    position = {
        "s": "ETHUSDT",
        "ps": "LONG",
        "pa": "1.327",
        "mt": "CROSSED",
        "iw": "0",
        "mp": "187.17",
        "up": "-1.1",
        "mm": "1.614",
    }
    call = {"e": "MARGIN_CALL", "E": 5, "cw": "3.16", "p": [position] * 7}
    assert usdm.receive(json.dumps(call), NOW) == [
        AccountNote(
            NoteKind.MARGIN_CALL,
            "margin call; cross wallet 3.16; " + "ETHUSDT LONG 1.327 needs 1.614; " * 5 + "and 2 more",
            5000,
            NOW,
        )
    ]
    leverage = '{"e":"ACCOUNT_CONFIG_UPDATE","E":5,"T":4,"ac":{"s":"BTCUSDT","l":25}}'
    assert usdm.receive(leverage, NOW) == [AccountNote(NoteKind.SETTING, "leverage of BTCUSDT 25", 5000, NOW)]
    mode = '{"e":"ACCOUNT_CONFIG_UPDATE","E":5,"T":4,"ai":{"j":true}}'
    assert usdm.receive(mode, NOW) == [AccountNote(NoteKind.SETTING, "multi-assets margin on", 5000, NOW)]
