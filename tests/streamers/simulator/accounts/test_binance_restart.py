"""Binance's accounts outlive their exchange: whatever was told stays true after a restart."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.assembly import Plan, Remembered, assemble
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, SECOND
from tests.streamers.simulator.accounts.binance import Client, settle, spec
from tests.streamers.simulator.conftest import START


class Clock:
    """A market clock that stands where it is put."""

    def __init__(self, now: int) -> None:
        self.now = now

    def market(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return 0.0


def live(folder: Path, specs: list[AccountSpec], now: int) -> Remembered:
    """One life of the exchange that these accounts are of."""
    file = folder / "accounts.json"
    file.write_bytes(msgspec.json.encode(specs))
    return assemble(Plan(accounts=file), specs[0].exchange, folder, Clock(now))


@pytest.mark.parametrize(
    ("exchange", "trades"), [(BINANCE_SPOT, "/api/v3/myTrades"), (BINANCE_USDM, "/fapi/v1/userTrades")]
)
def test_an_account_outlives_its_exchange(tmp_path: Path, exchange: str, trades: str) -> None:
    specs = [spec(exchange, orders_per_minute=240)]
    first = live(tmp_path, specs, START)
    client = Client(first.exchange)
    client.subscribe().run(START + 60 * SECOND)
    book = client.account.book
    before: list[Any] = [book.orders, book.fills, book.positions, book.balances]
    told = client.read(trades, symbol="BTCUSDT")
    first.close()
    assert len(before[1]) > 5

    second = live(tmp_path, specs, START + 70 * SECOND)
    client = Client(second.exchange)
    book = client.account.book
    assert [book.orders, book.fills, book.positions, book.balances] == before
    assert client.read(trades, symbol="BTCUSDT") == told
    known = len(book.fills)
    client.subscribe().run(START + 130 * SECOND)
    assert len(book.fills) > known
    moved = sum(row.change for row in book.movements if row.asset == "USDT")
    assert book.balances["USDT"] == Decimal(specs[0].balances["USDT"]) + moved
    second.close()


def test_execution_ids_go_on_after_a_restart(tmp_path: Path) -> None:
    specs, ids = [spec(BINANCE_SPOT)], []
    for life in range(2):
        one = live(tmp_path, specs, START + life * 10 * SECOND)
        client = Client(one.exchange)
        wire = client.subscribe()
        for _ in range(3):
            client.place("BTCUSDT", "buy", "0.001", price="1000")
        ids += [said["event"]["I"] for said in settle(wire) if "I" in said["event"]]
        one.close()
    assert len(ids) == 6
    assert ids == sorted(set(ids))


def test_binance_without_accounts_has_no_private_side(tmp_path: Path) -> None:
    one = assemble(Plan(), BINANCE_SPOT, tmp_path, Clock(START)).exchange
    assert one.converse("/ws-api/v3", 0.0) is None
    answer = one.answer("GET", "/api/v3/account", {}, 0.0)
    assert (answer.status, json.loads(answer.body)["code"]) == (404, -1020)
