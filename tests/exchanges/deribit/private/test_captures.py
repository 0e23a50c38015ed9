"""Recorded private messages; the oracle reads the files with json alone."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.exchanges.deribit.private.talking import Conversation, calls, only
from trade_platform.domain.account_books import books_of
from trade_platform.domain.accounts import Balance, OrderEvent, OrderState, Origin
from trade_platform.exchanges.deribit.private import records, wire
from trade_platform.exchanges.session import Reason, Reconnect

NOW = 2**60
ANSWERS = {
    "ws_order_buy_response.json": OrderState.OPEN,
    "ws_order_edit_response.json": OrderState.OPEN,
    "ws_order_cancel_response.json": OrderState.CANCELLED,
    "ws_order_sell_response.json": OrderState.OPEN,
    "ws_order_stop_market_no_filled_amount.json": OrderState.UNTRIGGERED,
    "ws_order_stop_market_response.json": OrderState.UNTRIGGERED,
}


@pytest.fixture
def messages(captures: Path) -> Path:
    return captures / "messages/deribit"


def exactly(text: bytes | str) -> Any:
    """With numbers to their last digit."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def said(order: dict[str, Any]) -> bytes:
    return msgspec.json.Encoder(decimal_format="number").encode(order)


def told(order: dict[str, Any]) -> OrderEvent:
    return records.order_event(msgspec.json.decode(said(order), type=wire.Order), NOW, Origin.STREAM)


def assert_same(event: OrderEvent, order: dict[str, Any]) -> None:
    """Every field of ours that theirs has."""
    assert (event.order_id, event.symbol, event.side) == (
        order["order_id"],
        order["instrument_name"],
        order["direction"],
    )
    assert (event.status, event.order_type) == (order["order_state"], order["order_type"])
    assert (event.quantity, event.filled) == (order["amount"], order.get("filled_amount", 0))
    assert event.price == (None if order["price"] == "market_price" else order["price"])
    assert event.trigger_price == order.get("trigger_price")
    assert event.average_price is None
    assert (event.label, event.time_in_force) == (order["label"], order["time_in_force"])
    assert event.reason == order.get("cancel_reason", "")
    assert (event.reduce_only, event.post_only, event.liquidation) == (
        order["reduce_only"],
        order["post_only"],
        order["is_liquidation"],
    )
    assert event.created == order["creation_timestamp"] * 1000
    assert event.event_time == order["last_update_timestamp"] * 1000


@pytest.mark.parametrize("name", ANSWERS)
def test_orders_as_they_were_answered(messages: Path, name: str) -> None:
    result = exactly((messages / name).read_bytes())["result"]
    order = result.get("order", result)
    event = told(order)
    assert_same(event, order)
    assert event.state is ANSWERS[name]


def test_a_captured_life_ends_in_its_last_state_whatever_the_order_of_its_messages(messages: Path) -> None:
    names = ("ws_order_buy_response.json", "ws_order_edit_response.json", "ws_order_cancel_response.json")
    life = []
    for name in names:
        result = exactly((messages / name).read_bytes())["result"]
        life.append(told(result.get("order", result)))
    assert {one.order_id for one in life} == {"USDC-104819327443"}
    for order in itertools.permutations([*life, life[0]]):
        (last,) = books_of(order).orders
        assert (last.state, last.price, last.reason) == (
            OrderState.CANCELLED,
            Decimal("3067.2"),
            "user_request",
        )


def test_orders_of_older_years(messages: Path, live: Conversation) -> None:
    seen = 0
    for line in (messages / "order_frames_2021-2022.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        frame = exactly(text)
        outputs = list(live.session.receive(text, NOW)) if frame.get("testnet") is not True else []
        order = frame["result"]["order"] if "result" in frame else frame["params"]["data"]
        assert_same(told(order), order)
        if frame.get("method") == "subscription":
            (event,) = outputs
            assert isinstance(event, OrderEvent)
            assert_same(event, order)
            seen += 1
    assert seen == 1


def test_a_portfolio(messages: Path, live: Conversation) -> None:
    text = (messages / "ws_portfolio.json").read_bytes()
    data = exactly(text)["params"]["data"]
    assert live.session.receive(text, NOW) == [
        Balance(
            asset="USDT",
            total=data["balance"],
            event_time=NOW,
            receive_time=NOW,
            available=data["available_funds"],
            locked=data["spot_reserve"],
            equity=data["equity"],
            initial_margin=data["initial_margin"],
            maintenance_margin=data["maintenance_margin"],
            session_realized=data["session_rpl"],
            session_unrealized=data["session_upl"],
            shared_margin=True,
        )
    ]


def test_a_test_request_an_error_and_an_answer_of_another(messages: Path, live: Conversation) -> None:
    outputs = live.session.receive((messages / "ws_test_request.json").read_bytes(), NOW)
    assert [one["method"] for one in calls(outputs)] == ["public/test"]
    (end,) = only(live.session.receive((messages / "ws_error.json").read_bytes(), NOW), Reconnect)
    assert (end.reason, end.detail) == (Reason.RATE_LIMITED, "10028 too_many_requests")


def test_a_captured_message_cut_at_every_byte_says_nothing(messages: Path, live: Conversation) -> None:
    text = (messages / "ws_portfolio.json").read_bytes().rstrip()
    for end in range(0, len(text), 7):
        with pytest.raises(Exception, match="cannot be read"):
            live.session.receive(text[:end], NOW)
    assert len(live.session.receive(text, NOW)) == 1
