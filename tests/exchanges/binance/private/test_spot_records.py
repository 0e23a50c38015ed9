"""What spot's events say, against captured messages."""

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
    Origin,
)
from trade_platform.domain.model import Side
from trade_platform.exchanges.account import AccountSession
from trade_platform.exchanges.binance.private.wire import LAST
from trade_platform.exchanges.session import ProtocolViolation

LONG = 2**53 + 1


def report(message: Callable[[str], str], **changes: Any) -> str:
    """A captured report, altered."""
    frame = json.loads(message("binance_spot/execution_report_wrapped"))
    frame["event"] |= changes
    return json.dumps(frame)


def test_a_new_order(spot: AccountSession, message: Callable[[str], str]) -> None:
    assert spot.receive(message("binance_spot/execution_report_wrapped"), NOW) == [
        OrderEvent(
            symbol="ETHBTC",
            order_id="4293153",
            state=OrderState.OPEN,
            status="NEW",
            event="NEW",
            side=Side.BUY,
            order_type="LIMIT",
            quantity=Decimal("1.00000000"),
            filled=Decimal("0E-8"),
            event_time=1_499_405_658_657_000,
            receive_time=NOW,
            price=Decimal("0.10264410"),
            time_in_force="GTC",
            client_id="mUvoqJxFIILMdfAW5iGSOW",
            created=1_499_405_658_657_000,
            update=8641984,
        )
    ]


def test_a_fill_and_its_order(spot: AccountSession, message: Callable[[str], str]) -> None:
    order, fill = spot.receive(message("binance_spot/execution_report_trade"), NOW)
    assert isinstance(order, OrderEvent)
    assert (order.state, order.filled, order.average_price) == (OrderState.FILLED, 1, Decimal(2500))
    assert fill == Fill(
        symbol="ETHUSDT",
        fill_id="98765432",
        order_id="12345678",
        side=Side.BUY,
        price=Decimal("2500.00000000"),
        quantity=Decimal("1.00000000"),
        event_time=1_709_654_401_000_000,
        receive_time=NOW,
        fee=Decimal("0.00100000"),
        fee_asset="ETH",
        maker=True,
        sequence=98765432,
    )


def test_ids_that_no_double_can_hold(spot: AccountSession, message: Callable[[str], str]) -> None:
    text = report(
        message, x="TRADE", X="PARTIALLY_FILLED", i=LONG, t=LONG + 2, I=LONG + 4, l="0.5", L="2", z="0.5"
    )
    order, fill = spot.receive(text, NOW)
    assert (order.order_id, order.update) == ("9007199254740993", LONG + 4)
    assert (fill.order_id, fill.fill_id) == ("9007199254740993", "9007199254740995")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", OrderState.OPEN),
        ("PARTIALLY_FILLED", OrderState.OPEN),
        ("PENDING_CANCEL", OrderState.OPEN),
        ("PENDING_NEW", OrderState.UNTRIGGERED),
        ("FILLED", OrderState.FILLED),
        ("CANCELED", OrderState.CANCELLED),
        ("EXPIRED", OrderState.EXPIRED),
        ("EXPIRED_IN_MATCH", OrderState.EXPIRED),
        ("REJECTED", OrderState.REJECTED),
        ("ON_HOLIDAY", OrderState.UNKNOWN),
    ],
)
def test_every_word_for_an_order(
    spot: AccountSession, message: Callable[[str], str], status: str, state: OrderState
) -> None:
    (order,) = spot.receive(report(message, X=status), NOW)
    assert (order.state, order.status) == (state, status)


@pytest.mark.parametrize(
    ("order_type", "working", "state"),
    [
        ("STOP_LOSS_LIMIT", False, OrderState.UNTRIGGERED),
        ("TAKE_PROFIT", False, OrderState.UNTRIGGERED),
        ("STOP_LOSS_LIMIT", True, OrderState.OPEN),
        ("LIMIT", False, OrderState.OPEN),
    ],
)
def test_a_stop_keeps_its_id_and_waits_outside_of_the_book(
    spot: AccountSession, message: Callable[[str], str], order_type: str, working: bool, state: OrderState
) -> None:
    (order,) = spot.receive(report(message, o=order_type, w=working, P="0.2"), NOW)
    assert (order.state, order.trigger_price) == (state, Decimal("0.2"))


def test_a_cancellation_has_an_id_of_its_own(spot: AccountSession, message: Callable[[str], str]) -> None:
    (order,) = spot.receive(report(message, x="CANCELED", X="CANCELED", c="cancel-1", C="mine", I=0), NOW)
    assert (order.client_id, order.event, order.update) == ("mine", "CANCELED", LAST)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"X": "REJECTED", "x": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "INSUFFICIENT_BALANCES"),
        ({"X": "EXPIRED", "x": "EXPIRED", "r": "NONE", "eR": "OCO_TRIGGER"}, "OCO_TRIGGER"),
        ({"X": "EXPIRED", "x": "EXPIRED", "r": "NONE"}, ""),
        ({"X": "NEW", "eR": "OCO_TRIGGER"}, ""),
    ],
)
def test_why_it_ended(
    spot: AccountSession, message: Callable[[str], str], changes: dict[str, str], reason: str
) -> None:
    (order,) = spot.receive(report(message, **changes), NOW)
    assert order.reason == reason


def test_what_prevented_a_trade_with_oneself_is_no_fill(
    spot: AccountSession, message: Callable[[str], str]
) -> None:
    text = report(message, x="TRADE_PREVENTION", X="EXPIRED_IN_MATCH", t=-1, v=3, l="0", pl="0.5")
    assert [type(one) for one in spot.receive(text, NOW)] == [OrderEvent]


@pytest.mark.parametrize("changes", [{"t": -1, "l": "0.5"}, {"t": 7, "l": "0.00000000"}])
def test_a_trade_without_a_number_or_a_quantity_is_no_fill(
    spot: AccountSession, message: Callable[[str], str], changes: dict[str, Any]
) -> None:
    text = report(message, x="TRADE", X="PARTIALLY_FILLED", **changes)
    assert [type(one) for one in spot.receive(text, NOW)] == [OrderEvent]


def test_a_number_that_goes_on_and_on(spot: AccountSession, message: Callable[[str], str]) -> None:
    """It would outgrow what a database holds."""
    with pytest.raises(ProtocolViolation):
        spot.receive(report(message, p="0." + "1" * 20_000), NOW)


def test_a_market_order_names_no_price_and_an_old_one_no_average(
    spot: AccountSession, message: Callable[[str], str]
) -> None:
    (order,) = spot.receive(report(message, o="MARKET", p="0.00000000", z="1", Z="-1", j=42), NOW)
    assert (order.price, order.average_price, order.label) == (None, None, "42")


def test_balances(spot: AccountSession, message: Callable[[str], str]) -> None:
    at = 1_709_654_400_000_000
    assert spot.receive(message("binance_spot/account_position"), NOW) == [
        Balance("USDT", Decimal(12500), at, NOW, available=Decimal(10000), locked=Decimal(2500)),
        Balance("ETH", Decimal(5), at, NOW, available=Decimal(5), locked=Decimal(0)),
    ]
    (one,) = spot.receive(message("binance_spot/account_position_wrapped"), NOW)
    assert (one.total, one.origin) == (Decimal(10000), Origin.STREAM)


def test_a_lock_from_outside(spot: AccountSession) -> None:
    text = '{"subscriptionId":0,"event":{"e":"externalLockUpdate","E":2,"a":"BTC","d":"-1.50","T":1}}'
    assert spot.receive(text, NOW) == [AccountNote(NoteKind.LOCK, "externalLockUpdate BTC -1.50", 1000, NOW)]
