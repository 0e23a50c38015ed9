"""Questions about a spot account, and answers of all sizes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from tests.exchanges.binance.private.serving import DAY, RECEIVED, all_of, serving
from trade_platform.domain.accounts import Balance, Fill, OrderEvent, OrderState, Origin
from trade_platform.domain.model import Side
from trade_platform.exchanges.account import Known
from trade_platform.exchanges.binance.private import SpotAccounts, walk
from trade_platform.exchanges.binance.private.wire import LAST
from trade_platform.exchanges.session import ProtocolViolation

SPOT = SpotAccounts()
MILLISECOND = 1000


def trade(number: int, time: int, symbol: str = "BNBBTC") -> dict[str, Any]:
    return {
        "symbol": symbol, "id": number, "orderId": 7, "orderListId": -1, "price": "4.1", "qty": "2",
        "quoteQty": "8.2", "commission": "0.1", "commissionAsset": "BNB", "time": time, "isBuyer": False,
        "isMaker": True, "isBestMatch": True,
    }  # fmt: skip


def test_balances(message: Callable[[str], str]) -> None:
    (ask,) = SPOT.balances()
    assert (ask.request.path, ask.request.query) == ("/api/v3/account", {"omitZeroBalances": "true"})
    page = ask.read(message("binance_spot/account_response").encode(), RECEIVED)
    free = Decimal("4723846.89208129")
    assert page.records[0] == Balance(
        "BTC", free, 123456789000, RECEIVED, available=free, locked=Decimal(0), origin=Origin.SNAPSHOT
    )
    assert page.further is None


def test_open_orders(message: Callable[[str], str]) -> None:
    (ask,) = SPOT.open_orders()
    (order,) = ask.read(message("binance_spot/open_orders_response").encode(), RECEIVED).records
    assert isinstance(order, OrderEvent)
    assert (order.order_id, order.state, order.event, order.origin) == (
        "1",
        OrderState.OPEN,
        "",
        Origin.SNAPSHOT,
    )
    assert ask.read(b"[]", RECEIVED).records == []


def test_one_order(message: Callable[[str], str]) -> None:
    (ask,) = SPOT.order("LTCBTC", "1")
    assert ask.request.query == {"symbol": "LTCBTC", "orderId": 1}
    assert ask.absent == {-2013, -2026}
    row = json.loads(message("binance_spot/order_response"))
    row |= {"status": "EXPIRED", "expiryReason": "OCO_TRIGGER", "isWorking": False}
    (order,) = ask.read(json.dumps(row).encode(), RECEIVED).records
    assert (order.state, order.reason, order.update) == (OrderState.EXPIRED, "OCO_TRIGGER", LAST)
    assert SPOT.order("LTCBTC", "algo-1") == [], "no id of spot's"


def test_a_stop_that_waits(message: Callable[[str], str]) -> None:
    row = json.loads(message("binance_spot/order_response"))
    row |= {"type": "STOP_LOSS_LIMIT", "isWorking": False, "stopPrice": "0.2"}
    (order,) = SPOT.open_orders()[0].read(json.dumps([row]).encode(), RECEIVED).records
    assert (order.state, order.trigger_price) == (OrderState.UNTRIGGERED, Decimal("0.2"))


def test_a_fill(message: Callable[[str], str]) -> None:
    (ask,) = SPOT.fills(Known(symbols=frozenset({"BNBBTC"})), 0, DAY * MILLISECOND)
    (fill,) = ask.read(message("binance_spot/account_trades_response").encode(), RECEIVED).records
    assert fill == Fill(
        symbol="BNBBTC",
        fill_id="28457",
        order_id="100234",
        side=Side.BUY,
        price=Decimal("4.00000100"),
        quantity=Decimal("12.00000000"),
        event_time=1_499_865_549_590_000,
        receive_time=RECEIVED,
        fee=Decimal("10.10000000"),
        fee_asset="BNB",
        maker=False,
        quote_quantity=Decimal("48.000012"),
        sequence=28457,
        origin=Origin.HISTORY,
    )


def test_one_row_that_cannot_be_read_is_no_answer() -> None:
    (ask,) = SPOT.fills(Known(symbols=frozenset({"BNBBTC"})), 0, DAY * MILLISECOND)
    odd = [trade(1, 5), trade(2, 6) | {"price": "NaN"}]
    with pytest.raises(ProtocolViolation):
        ask.read(json.dumps(odd).encode(), RECEIVED)


def test_a_number_that_goes_on_and_on() -> None:
    (ask,) = SPOT.balances()
    body = json.dumps({"balances": [{"asset": "BTC", "free": "0." + "1" * 20_000, "locked": "0"}]})
    with pytest.raises(ProtocolViolation):
        ask.read(body.encode(), RECEIVED)


@pytest.mark.parametrize("days", [1, 6, 30])
def test_fills_of_some_days(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Short spans by windows, long ones by numbers; what lies before the last known may be missing, too."""
    monkeypatch.setattr(walk, "PAGE", 10)
    rows = [trade(100 + number, number * DAY // 20) for number in range(20 * 40)]
    rows += [trade(100 + number, number * DAY // 2, "ETHBTC") for number in range(80)]
    known = Known(symbols=frozenset({"BNBBTC"}), last_fills={"ETHBTC": "179"})
    since, until = 2 * DAY * MILLISECOND, (2 + days) * DAY * MILLISECOND
    asked: list[Mapping[str, Any]] = []
    records = all_of(
        SPOT.fills(known, since, until), serving(rows, number="id", cursor="fromId", asked=asked)
    )
    expected = {(row["symbol"], str(row["id"])) for row in rows if since <= row["time"] * MILLISECOND < until}
    assert {(one.symbol, one.fill_id) for one in records if isinstance(one, Fill)} == expected
    assert len(records) == len(expected)
    assert ("fromId" in asked[0]) is (days > 7)


def test_orders_of_each_symbol(monkeypatch: pytest.MonkeyPatch, message: Callable[[str], str]) -> None:
    monkeypatch.setattr(walk, "PAGE", 3)
    (row,) = json.loads(message("binance_spot/all_orders_response"))
    rows = [row | {"orderId": number, "time": number * DAY // 4} for number in range(40)]
    known = Known(symbols=frozenset({"LTCBTC", "BNBBTC"}))
    serve = serving(rows, number="orderId", cursor="orderId")
    records = all_of(SPOT.orders(known, 2 * DAY * MILLISECOND, 5 * DAY * MILLISECOND), serve)
    found = [int(one.order_id) for one in records if isinstance(one, OrderEvent)]
    assert found == list(range(4, 20)), "those of the day before may have changed since"


def test_how_far_back_it_is_told() -> None:
    now = 1_800_000_000_000_000
    assert SPOT.reach("orders", now) == now - (90 * 24 - 1) * DAY // 24 * MILLISECOND
    assert SPOT.reach("fills", now) == SPOT.reach("movements", now) == 1_498_867_200_000_000
    assert SPOT.positions() == []
