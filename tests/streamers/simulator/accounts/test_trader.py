"""Who trades: by the seed alone, by the market's prints, each of them once."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from streamers.simulator.accounts.book_shapes import SimFill
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, DERIBIT, SECOND
from tests.streamers.simulator.accounts.desks import account_of, exchange_with, prove, run, spec


def fills_after(seconds: int, step: int, seed: int = 1) -> list[SimFill]:
    exchange = exchange_with(spec(seed=seed))
    run(exchange, seconds, step)
    return account_of(exchange).book.fills


def test_the_same_seed_trades_the_same_however_often_it_is_asked() -> None:
    one = fills_after(120, SECOND)
    assert len(one) > 10
    assert fills_after(120, 60 * SECOND) == one
    assert fills_after(120, SECOND // 10) == one
    assert fills_after(120, SECOND, seed=2) != one


def test_the_market_is_the_same_with_and_without_accounts() -> None:
    def prints(*specs: object) -> list[str]:
        exchange = exchange_with(*specs)  # type: ignore[arg-type]
        run(exchange, 60)
        return [one.text for one in exchange.source.tape.log("BTC-PERPETUAL", "trade").ascending()]

    assert prints() == prints(spec())


def prices(exchange: SimulatedExchange) -> dict[tuple[str, int], tuple[Decimal, Decimal]]:
    assert exchange.desk is not None
    return {
        (symbol, one.sequence): (Decimal(one.price), Decimal(one.quantity))
        for symbol in exchange.desk.floor.pits
        for one in exchange.source.tape.log(symbol, "trade").ascending()
    }


def test_every_fill_is_a_print_at_its_price_and_no_print_fills_twice() -> None:
    exchange = exchange_with(spec(orders_per_minute=120))
    run(exchange, 60)
    book, printed = account_of(exchange).book, prices(exchange)
    used = Counter((one.symbol, one.number) for one in book.fills)
    assert set(used.values()) == {1}
    for fill in book.fills:
        price, quantity = printed[fill.symbol, fill.number]
        assert fill.price == price
        assert fill.quantity <= quantity
        order = book.orders[fill.order_id]
        if order.price is not None:
            assert fill.price <= order.price if fill.side == "buy" else fill.price >= order.price


def test_it_does_everything_that_a_trader_does() -> None:
    exchange = exchange_with(spec(orders_per_minute=60))
    run(exchange, 900)
    book = account_of(exchange).book
    prove(book)
    orders = list(book.orders.values())
    assert {one.kind for one in orders} == {"limit", "market", "stop_limit", "stop_market"}
    assert {one.state for one in orders} >= {"filled", "cancelled", "triggered", "open"}
    assert any(one.amended for one in orders)
    assert any(0 < one.filled < one.quantity and one.state == "cancelled" for one in orders)
    assert any(one.time_in_force == "IOC" and one.state == "cancelled" for one in orders)
    assert {one.maker for one in book.fills} == {True, False}
    assert any(one.realized for one in book.fills)


def test_a_market_order_fills_at_the_last_price_at_once() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    run(exchange, 5)
    last = exchange.source.tape.log("BTC-PERPETUAL", "trade").last
    assert last is not None
    trader = account_of(exchange).trader
    order = trader.place("BTC-PERPETUAL", "sell", Decimal(10), kind="market")
    assert (order.state, order.average) == ("filled", Decimal(last.price))
    second = trader.place("BTC-PERPETUAL", "sell", Decimal(10), kind="market")
    assert second.state == "open"
    run(exchange, 30)
    assert account_of(exchange).book.orders[second.order_id].state == "filled"


def test_who_takes_is_filled_before_who_waits_and_who_came_first_before_others() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    run(exchange, 5)
    trader, high = account_of(exchange).trader, Decimal(200_000)
    trader.place("BTC-PERPETUAL", "buy", Decimal(10), kind="market")
    early = trader.place("BTC-PERPETUAL", "buy", Decimal(10), price=high)
    late = trader.place("BTC-PERPETUAL", "buy", Decimal(10), price=high)
    takes = trader.place("BTC-PERPETUAL", "buy", Decimal(10), kind="market")
    run(exchange, 60)
    filled = [fill.order_id for fill in account_of(exchange).book.fills]
    assert filled[1:] == [takes.order_id, early.order_id, late.order_id]


def test_a_number_that_comes_again_after_a_crash_fills_nothing() -> None:
    exchange = exchange_with(spec(orders_per_minute=0))
    run(exchange, 5)
    last = exchange.source.tape.log("BTC-PERPETUAL", "trade").last
    assert last is not None
    trader, book = account_of(exchange).trader, account_of(exchange).book
    trader.place("BTC-PERPETUAL", "buy", Decimal(10), kind="market")
    trader.place("BTC-PERPETUAL", "buy", Decimal(10), kind="market")
    trader.witness("BTC-PERPETUAL", last)
    assert len(book.fills) == 1


@pytest.mark.parametrize("key", [DERIBIT, BINANCE_SPOT, BINANCE_USDM])
def test_every_exchange_s_house_keeps_its_books(key: str) -> None:
    from streamers.simulator.accounts.halves import HALVES

    if key not in HALVES:
        pytest.skip(f"{key} has no accounts yet")
    balances = {"USDT": "100000", "BTC": "5", "ETH": "50"}
    exchange = exchange_with(spec(exchange=key, balances=balances), key=key)
    run(exchange, 300)
    book = account_of(exchange).book
    assert len(book.fills) > 20
    for asset, balance in book.balances.items():
        changes = [one.change for one in book.movements if one.asset == asset]
        assert sum(changes, book.opening.get(asset, Decimal(0))) == balance
