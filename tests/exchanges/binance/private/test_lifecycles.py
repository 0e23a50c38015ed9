"""Recorded lives of orders, replayed: how they ended, and whether the wallet came out."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.exchanges.binance.private.talk import NOW
from trade_platform.domain.accounts import AccountRecord, Balance, Fill, OrderEvent, OrderState, Position
from trade_platform.exchanges.account import AccountSession
from trade_platform.exchanges.binance.private import spot_rows, usdm_rows

Lifecycle = Callable[[str], list[dict[str, Any]]]


def replayed(session: AccountSession, lines: list[dict[str, Any]]) -> list[AccountRecord]:
    texts = [line["text"] for line in lines if line["dir"] == "recv"]
    return [one for text in texts for one in session.receive(text, NOW)]


def orders(records: list[AccountRecord]) -> dict[str, list[tuple[str, OrderState]]]:
    lives: dict[str, list[tuple[str, OrderState]]] = {}
    for one in records:
        if isinstance(one, OrderEvent):
            lives.setdefault(one.order_id, []).append((one.event, one.state))
    return lives


def test_spot_new_and_cancelled(spot: AccountSession, lifecycle: Lifecycle) -> None:
    records = replayed(spot, lifecycle("binance_spot/order_lifecycle_2020_new_cancel"))
    assert orders(records) == {"339230": [("NEW", OrderState.OPEN), ("CANCELED", OrderState.CANCELLED)]}
    events = [one for one in records if isinstance(one, OrderEvent)]
    assert [one.client_id for one in events] == ["daa3Lntyw5phO7yGkmkUzn"] * 2
    assert [one.update for one in events] == [679393, 679407]
    usdt = [one for one in records if isinstance(one, Balance) and one.asset == "USDT"]
    locked = Decimal("0.01") * Decimal(9000)
    assert [(one.total, one.locked) for one in usdt] == [(Decimal(9870), locked), (Decimal(9870), 0)]
    assert spot.ignored == {"answer to nothing asked": 1, "outboundAccountInfo": 1}


def wallet(records: list[AccountRecord], asset: str, opening: Decimal, moved: dict[int, Decimal]) -> None:
    """Each balance that is told is the one before it, and what happened at its moment."""
    total = opening
    told = 0
    for one in records:
        if isinstance(one, Balance):
            assert one.asset == asset
            fills = [fill for fill in records if isinstance(fill, Fill) and fill.event_time == one.event_time]
            total += sum((fill.realized_pnl or 0) - fill.fee for fill in fills)
            total += moved.get(one.event_time, 0)
            assert one.total == total
            told += 1
    assert told


def test_usdm_maker_then_taker(usdm: AccountSession, lifecycle: Lifecycle) -> None:
    records = replayed(usdm, lifecycle("binance_usdm/order_lifecycle_2021_maker_then_taker"))
    life = [("NEW", OrderState.OPEN), ("TRADE", OrderState.FILLED)]
    assert orders(records) == {"17846577272": life, "17846602125": life}
    fills = [one for one in records if isinstance(one, Fill)]
    assert [(one.maker, one.price, one.fee, one.realized_pnl) for one in fills] == [
        (True, Decimal("1.0865"), Decimal("0.00108650"), 0),
        (False, Decimal("1.0859"), Decimal("0.00217180"), Decimal("0.00300000")),
    ]
    positions = [one for one in records if isinstance(one, Position)]
    assert [(one.quantity, one.asset) for one in positions] == [(-5, "USDT"), (0, "USDT")]
    assert positions[1].realized_pnl - positions[0].realized_pnl == fills[1].realized_pnl
    wallet(records, "USDT", Decimal("21.18255611") + fills[0].fee, {})
    kinds = [type(one).__name__ for one in records]
    assert kinds.index("Balance") < kinds.index("Fill"), "the account is told of before the fill"


def test_usdm_open_transfer_close(usdm: AccountSession, lifecycle: Lifecycle) -> None:
    records = replayed(usdm, lifecycle("binance_usdm/order_lifecycle_2022_open_transfer_close"))
    life = [("NEW", OrderState.OPEN), ("TRADE", OrderState.FILLED)]
    assert orders(records) == {"2844843857": life, "2845437381": life}
    fills = [one for one in records if isinstance(one, Fill)]
    assert [(one.maker, one.fee) for one in fills] == [
        (True, Decimal("-0.00074625")),
        (False, Decimal("0.00171547")),
    ]
    assert fills[1].realized_pnl == (fills[1].price - fills[0].price) * fills[1].quantity
    opening = Decimal("788.59145825") + fills[0].fee
    wallet(records, "BUSD", opening, {1_643_187_247_436_000: Decimal(787)})


def test_rest_and_stream_tell_the_same_order(
    spot: AccountSession, usdm: AccountSession, lifecycle: Lifecycle, message: Callable[[str], str]
) -> None:
    """Fields that both know are equal, so that neither overwrites the other with something else."""
    row = json.loads(message("binance_spot/order_response"))
    event = replayed(spot, lifecycle("binance_spot/order_lifecycle_2020_new_cancel"))[0]
    assert isinstance(event, OrderEvent)
    row |= {
        "symbol": "BTCUSDT", "orderId": 339230, "clientOrderId": "daa3Lntyw5phO7yGkmkUzn", "price": "9000",
        "origQty": "0.01", "time": 1605823200520, "updateTime": 1605823200520,
    }  # fmt: skip
    (told,) = spot_rows.one_order(json.dumps(row).encode(), NOW).records
    differing = {name for name in OrderEvent.__struct_fields__ if getattr(event, name) != getattr(told, name)}
    assert differing == {"event", "update", "origin"}

    lines = lifecycle("binance_usdm/order_lifecycle_2021_maker_then_taker")
    event = replayed(usdm, lines)[0]
    body = json.loads(next(line["text"] for line in lines if line["dir"] == "rest_resp"))
    (told,) = usdm_rows.one_order(json.dumps({**body, "time": body["updateTime"]}).encode(), NOW).records
    differing = {name for name in OrderEvent.__struct_fields__ if getattr(event, name) != getattr(told, name)}
    assert differing == {"event", "created", "origin"}
