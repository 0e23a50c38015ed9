"""How things stand, by REST."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.deribit.private.payloads import ORDER, POSITION
from trade_platform.domain.accounts import Balance, OrderEvent, OrderState, Origin, Position
from trade_platform.exchanges.account import Ask, Page
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.exchanges.session import ProtocolViolation

NOW = 1_766_000_000_000_000


def read(asks: list[Ask], result: Any, said_at: int | None = NOW - 7) -> Page:
    (ask,) = asks
    assert ask.request.method == "GET"
    return ask.read(json.dumps({"result": result, "usOut": said_at}).encode(), NOW)


def test_open_orders_are_asked_of_all_currencies_and_kinds_at_once() -> None:
    asks = DeribitAccounts().open_orders()
    assert (asks[0].request.path, asks[0].request.query) == ("/api/v2/private/get_open_orders", {})
    waiting = {**ORDER, "order_id": "SLIS-103", "order_state": "untriggered", "price": "market_price"}
    page = read(asks, [{**ORDER, "order_state": "open"}, waiting])
    states = [(one.order_id, one.state, one.origin) for one in page.records if isinstance(one, OrderEvent)]
    assert states == [
        ("3398016", OrderState.OPEN, Origin.SNAPSHOT),
        ("SLIS-103", OrderState.UNTRIGGERED, Origin.SNAPSHOT),
    ]
    assert page.further is None


def test_one_order() -> None:
    asks = DeribitAccounts().order("BTC-PERPETUAL", "3398016")
    assert asks[0].request.query == {"order_id": "3398016"}
    (told,) = read(asks, ORDER).records
    assert isinstance(told, OrderEvent)
    assert told.state is OrderState.FILLED


def test_an_order_that_is_not_known_any_more_is_no_failure() -> None:
    (ask,) = DeribitAccounts().order("BTC-PERPETUAL", "1")
    assert ask.absent == {10004, 13020}
    assert not any(one.absent for one in DeribitAccounts().open_orders())


def test_positions_are_those_that_are_open() -> None:
    asks = DeribitAccounts().positions()
    assert asks[0].request.query == {"currency": "any"}
    closed = {**POSITION, "instrument_name": "ETH-PERPETUAL", "size": 0.0, "direction": "zero"}
    (told,) = read(asks, [POSITION, closed]).records
    assert isinstance(told, Position)
    assert (told.symbol, told.event_time, told.origin) == ("BTC-PERPETUAL", NOW - 7, Origin.SNAPSHOT)


@pytest.mark.parametrize(("said_at", "at"), [(NOW - 7, NOW - 7), (NOW + 7, NOW), (None, NOW)])
def test_a_snapshot_never_lies_ahead_of_our_clock(said_at: int | None, at: int) -> None:
    (told,) = read(DeribitAccounts().positions(), [POSITION], said_at).records
    assert isinstance(told, Position)
    assert told.event_time == at


@pytest.mark.parametrize(
    "name", ["http_get_account_summaries.json", "http_get_account_summaries_cross_margin.json"]
)
def test_the_captured_summaries(captures: Path, name: str) -> None:
    body = (captures / "messages/deribit" / name).read_bytes()
    (ask,) = DeribitAccounts().balances()
    told = [one for one in ask.read(body, 2**60).records if isinstance(one, Balance)]
    answer = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    summaries = answer["result"]["summaries"]
    assert len(told) == len(summaries) > 1
    for one, summary in zip(told, summaries, strict=True):
        assert (one.asset, one.total, one.equity) == (
            summary["currency"],
            summary["balance"],
            summary["equity"],
        )
        assert (one.available, one.locked) == (summary["available_funds"], summary["spot_reserve"])
        assert (one.initial_margin, one.maintenance_margin) == (
            summary["initial_margin"],
            summary["maintenance_margin"],
        )
        assert (one.session_realized, one.session_unrealized) == (
            summary["session_rpl"],
            summary["session_upl"],
        )
        assert one.shared_margin is summary["cross_collateral_enabled"]
        assert (one.event_time, one.origin) == (answer["usOut"], Origin.SNAPSHOT)
    assert any(one.total for one in told)


def test_the_captured_equity_is_cash_and_the_session(captures: Path) -> None:
    body = (captures / "messages/deribit/http_get_account_summaries.json").read_bytes()
    told = list(DeribitAccounts().balances()[0].read(body, 2**60).records)
    bitcoin = next(one for one in told if isinstance(one, Balance) and one.asset == "BTC")
    assert bitcoin.session_realized is not None
    assert bitcoin.session_unrealized is not None
    assert bitcoin.equity is not None
    options = Decimal("-0.0086") - Decimal("-0.0065")  # their value, less what the session counts of it
    expected = bitcoin.total + bitcoin.session_realized + bitcoin.session_unrealized + options
    assert abs(bitcoin.equity - expected) < Decimal("0.0001")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"result": null}', b'{"error": {"code": 10028}}'])
def test_no_answer_is_never_an_empty_one(body: bytes) -> None:
    exchange = DeribitAccounts()
    asks = [*exchange.open_orders(), *exchange.balances(), *exchange.positions(), *exchange.order("X", "1")]
    for ask in asks:
        with pytest.raises(ProtocolViolation):
            ask.read(body, NOW)


@pytest.mark.parametrize("price", [{}, [1], "1 or 2", True])
def test_an_order_whose_price_cannot_be_read_spoils_the_answer(price: Any) -> None:
    with pytest.raises(ProtocolViolation):
        read(DeribitAccounts().open_orders(), [ORDER, {**ORDER, "price": price}])


def test_a_number_that_goes_on_and_on_is_not_even_read() -> None:
    with pytest.raises(ProtocolViolation, match="on and on"):
        DeribitAccounts().open_orders()[0].read(b'{"result": [], "more": ' + b"1" * 20_000 + b"}", NOW)
