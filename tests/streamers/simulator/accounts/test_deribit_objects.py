"""Deribit's private objects have the keys, and the kinds of values, that were captured from the wire."""

from __future__ import annotations

import json
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamers.simulator.accounts.deribit_objects import dumps, number, order_object
from streamers.simulator.exchange import SimulatedExchange
from tests.streamers.simulator.accounts.desks import Client, account_of, ask, exchange_with, run, spec

USED_NO_MORE = {"max_show", "commission", "profit_loss"}
"""Of orders of 2021 and 2022."""


def captured(captures: Path, name: str) -> str:
    return (captures / "messages" / "deribit" / name).read_text(encoding="utf-8")


def kind(value: object) -> str:
    """Numbers are numbers, whole or not."""
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def assert_alike(theirs: dict[str, Any], ours: dict[str, Any], without: Collection[str] = ()) -> None:
    shared = theirs.keys() - set(without)
    assert shared <= ours.keys()
    for name in shared:
        if theirs[name] is not None and ours[name] is not None:
            assert kind(ours[name]) == kind(theirs[name]), name


@pytest.fixture(scope="module")
def traded() -> SimulatedExchange:
    exchange = exchange_with(spec(orders_per_minute=60))
    run(exchange, 300)
    return exchange


def orders(exchange: SimulatedExchange) -> list[dict[str, Any]]:
    assert exchange.desk is not None
    pits, book = exchange.desk.floor.pits, account_of(exchange).book
    return [json.loads(dumps(order_object(one, pits[one.symbol].listing))) for one in book.orders.values()]


@pytest.mark.parametrize(
    ("name", "state"),
    [("ws_order_buy_response.json", "open"), ("ws_order_cancel_response.json", "cancelled")],
)
def test_orders(captures: Path, traded: SimulatedExchange, name: str, state: str) -> None:
    result = json.loads(captured(captures, name))["result"]
    theirs = result.get("order", result)
    ours = [one for one in orders(traded) if (one["order_state"], one["order_type"]) == (state, "limit")]
    assert ours
    for one in ours:
        at_once = one["time_in_force"] == "immediate_or_cancel"  # nobody cancelled what was left
        assert_alike(theirs, one, {"cancel_reason"} if at_once else ())


def test_a_stop(captures: Path, traded: SimulatedExchange) -> None:
    theirs = json.loads(captured(captures, "ws_order_stop_market_no_filled_amount.json"))["result"]["order"]
    ours = [one for one in orders(traded) if one["order_type"] == "stop_market"]
    assert ours
    for one in ours:
        assert_alike(theirs, one)
        assert one["price"] == theirs["price"]


def test_orders_of_old_frames(captures: Path, traded: SimulatedExchange) -> None:
    lines = captured(captures, "order_frames_2021-2022.jsonl").splitlines()
    said = json.loads(json.loads(lines[-1])["text"])["params"]["data"]
    ours = next(one for one in orders(traded) if one["order_type"] == "limit")
    assert_alike(said, ours, USED_NO_MORE)


def test_summaries(captures: Path, traded: SimulatedExchange) -> None:
    theirs = json.loads(captured(captures, "http_get_account_summaries.json"))["result"]
    ours = json.loads(dumps(ask(traded, "private/get_account_summaries", extended="true", now=1e6)["result"]))
    assert_alike(theirs, ours)
    for mine in ours["summaries"]:
        assert_alike(theirs["summaries"][0], mine)


def test_portfolios(captures: Path) -> None:
    theirs = json.loads(captured(captures, "ws_portfolio.json"))["params"]["data"]
    client = Client(exchange_with(spec()))
    client.log_in()
    client.hear("user.portfolio.any")
    client.run(client.exchange.source.now + 2_000_000)
    ours = client.data("user.portfolio.any")[0]
    only_of_cross_margin = {name for name in theirs if name.startswith("total_") and name != "total_pl"}
    assert_alike(theirs, ours, only_of_cross_margin)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.50", "1.5"), ("100", "100"), ("1E+2", "100"), ("0E-8", "0"), ("-0.00000001", "-1E-8")],
)
def test_numbers_keep_every_digit(value: str, text: str) -> None:
    assert dumps(number(Decimal(value))) == text
