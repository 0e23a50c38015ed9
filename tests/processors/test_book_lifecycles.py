"""Recorded lives of real orders, in every order of arrival that comes to mind, make the same books."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from tests.adapters.database.booking import NOON, add_account, as_owner, put
from trade_platform.adapters.database.books import read
from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.accounts import AccountRecord, Balance, Fill, OrderEvent, OrderState, Position
from trade_platform.exchanges.account import KeyFacts, Obtain
from trade_platform.exchanges.binance.private.exchange import UsdmAccounts

LIVES = ("order_lifecycle_2021_maker_then_taker", "order_lifecycle_2022_open_transfer_close")


def told(folder: Path, life: str) -> list[AccountRecord]:
    """What a session makes of the recorded texts."""
    session = UsdmAccounts().session(KeyFacts(key_id="k"))
    (obtain,) = session.before(0.0, NOON)
    assert isinstance(obtain, Obtain)
    obtain.then(b'{"listenKey":"abc"}')
    session.opened(0.0, NOON)
    path = folder / "messages" / "binance_usdm" / f"{life}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [line["text"] for line in lines if line["dir"] == "recv"]
    outputs = [one for n, text in enumerate(texts) for one in session.receive(text, NOON + n)]
    return [one for one in outputs if isinstance(one, OrderEvent | Fill | Balance | Position)]


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_however_it_arrives(connection: Connection, captures: Path, life: str, seed: int | None) -> None:
    records = told(captures, life)
    owner = add_account(connection, exchange="binance_usdm")
    arriving = list(records)
    if seed is not None:
        chance = random.Random(seed)
        arriving += chance.choices(records, k=5)
        chance.shuffle(arriving)
    for _, group in groupby(arriving, key=type):
        put(connection, owner, *group)
    with as_owner(connection, owner):
        orders = read(connection, owner, OrderEvent, "account_order")
        fills = read(connection, owner, Fill)
        balances = read(connection, owner, Balance, "balance_now")
        positions = read(connection, owner, Position, "position_now")
        assert connection.execute("SELECT count(*) FROM book_conflict").fetchone() == (0,)
    assert {one.state for one in orders} == {OrderState.FILLED}
    assert len(orders) == 2
    assert {(one.fill_id, one.price, one.fee) for one in fills} == {
        (one.fill_id, one.price, one.fee) for one in records if isinstance(one, Fill)
    }
    assert {one.quantity for one in positions} == {Decimal(0)}
    last = {one.asset: one.total for one in records if isinstance(one, Balance)}
    assert {one.asset: one.total for one in balances} == last
