"""The oracle: the whole book as JSON, and orders on demand."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from streamers.simulator.accounts.book import Unacceptable
from streamers.simulator.accounts.oracle import Command, NoSuchAccount, account_of, obey, whole
from tests.streamers.simulator.accounts.desks import exchange_with, run, spec


def test_everything_is_told_and_adds_up() -> None:
    exchange = exchange_with(spec())
    run(exchange, 120)
    account = account_of(exchange.desk, {"name": "main"})
    told = msgspec.json.decode(msgspec.json.encode(whole(account)))
    assert told["exchange"] == "deribit"
    for asset, balance in told["balances"].items():
        changes = [Decimal(one["change"]) for one in told["movements"] if one["asset"] == asset]
        assert Decimal(told["opening"][asset]) + sum(changes) == Decimal(balance)
    assert len(told["orders"]) == len(account.book.orders)
    assert len(told["fills"]) == len(account.book.fills) > 0
    assert "SECRET" not in str(told)


def test_who_is_not_there() -> None:
    with pytest.raises(NoSuchAccount, match="only main"):
        account_of(exchange_with(spec()).desk, {"name": "nobody"})
    with pytest.raises(NoSuchAccount, match="--accounts"):
        account_of(None, {})


def test_orders_on_demand() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    run(exchange, 5)
    account = account_of(exchange.desk, {"name": "main"})
    placed = obey(
        account,
        Command(do="place", symbol="BTC-PERPETUAL", side="buy", quantity=Decimal(100), price=Decimal(50_000)),
    )
    order_id = placed["order"].order_id
    amended = obey(account, Command(do="amend", order_id=order_id, price=Decimal(50_010)))
    assert amended["order"].price == 50_010
    assert obey(account, Command(do="cancel", order_id=order_id))["order"].state == "cancelled"
    market = Command(do="place", symbol="BTC-PERPETUAL", kind="market", quantity=Decimal(10))
    assert len(obey(account, market)["fills"]) == 1
    with pytest.raises(Unacceptable):
        obey(account, Command(do="cancel", order_id=order_id))
    with pytest.raises(Unacceptable):
        obey(account, Command(do="place", symbol="NOPE", quantity=Decimal(1)))
