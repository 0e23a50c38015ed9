"""A third-party client judges the private side: ccxt must read and hear what the account's book says."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM
from tests.streamers.simulator.accounts.binance import PRIVATE, edwards, spec
from tests.streamers.simulator.serving import simulator
from tests.streamers.simulator.test_ccxt import client_of

pytest.importorskip("ccxt", reason="ccxt is not installed (dependency group development)")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

NAMES = {BINANCE_SPOT: "binance", BINANCE_USDM: "binanceusdm"}
SYMBOLS = {BINANCE_SPOT: "BTC/USDT", BINANCE_USDM: "BTC/USDT:USDT"}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("ccxt")
    specs = [
        spec(BINANCE_SPOT, permissions={"trade": True}),
        edwards(BINANCE_SPOT, "edwards"),
        spec(BINANCE_USDM),
    ]
    (folder / "accounts.json").write_bytes(msgspec.json.encode(specs))
    chosen = ("--exchange", BINANCE_SPOT, BINANCE_USDM, "--rate", "5")
    with simulator(folder, *chosen, "--accounts", str(folder / "accounts.json")) as process:
        yield process.ready()["urls"]


def holder(exchange: str, urls: Any, name: str = "main") -> Any:
    """A client with an account's key."""
    client = client_of(NAMES[exchange], urls[exchange])
    base = urls[exchange]["websocket"]
    client.apiKey, client.secret = f"{name}-key", f"{name}-secret"
    if name == "edwards":
        client.secret = PRIVATE.private_bytes_raw().hex()
    client.urls["api"]["ws"]["ws-api"] = {"spot": f"{base}/ws-api/v3"}
    client.options["fetchCurrencies"] = client.options["fetchMargins"] = False
    return client


async def trade(urls: Any, exchange: str, **command: Any) -> Any:
    """Trade by the simulator's own hand; the order and its fills."""
    address = f"{urls[exchange]['rest']}/simulator/account?name=main"
    async with ClientSession() as session, session.post(address, json={"do": "place", **command}) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def told(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What is answered as soon as there is anything."""
    async with asyncio.timeout(60):
        while True:
            answer = await ask()
            if answer:
                return answer


def whole(urls: Any, exchange: str) -> Any:
    """The account's book."""
    with urllib.request.urlopen(f"{urls[exchange]['rest']}/simulator/account?name=main") as answer:
        return json.load(answer)


@pytest.mark.parametrize("exchange", [BINANCE_SPOT, BINANCE_USDM])
async def test_ccxt_reads_orders_trades_and_balances(exchange: str, urls: Any) -> None:
    client, symbol = holder(exchange, urls), SYMBOLS[exchange]
    try:
        await client.load_markets()
        rests = await trade(urls, exchange, symbol="BTCUSDT", side="buy", quantity="0.01", price="1000")
        await trade(urls, exchange, symbol="BTCUSDT", side="buy", quantity="0.001", kind="market")
        fills = await told(lambda: client.fetch_my_trades(symbol))
        book = await asyncio.to_thread(whole, urls, exchange)
        numbers = {fill["fill_id"]: fill for fill in book["fills"]}
        assert {fill["id"] for fill in fills} <= set(numbers)
        for fill in fills:
            ours = numbers[fill["id"]]
            assert (fill["price"], fill["amount"]) == (float(ours["price"]), float(ours["quantity"]))
            assert fill["fee"]["cost"] == float(ours["fee"])
            assert fill["takerOrMaker"] == "taker"
        number = rests["order"]["order_id"]
        assert number in {order["id"] for order in await client.fetch_open_orders(symbol)}
        assert (await client.fetch_order(number, symbol))["status"] == "open"
        assert {order["id"] for order in await client.fetch_orders(symbol)} >= {number}
        balance = await client.fetch_balance()
        assert balance["USDT"]["total"] == pytest.approx(float(book["balances"]["USDT"]))
    finally:
        await client.close()


async def test_ccxt_reads_positions_and_the_ledger(urls: Any) -> None:
    client = holder(BINANCE_USDM, urls)
    try:
        await client.load_markets()
        await trade(urls, BINANCE_USDM, symbol="ETHUSDT", side="sell", quantity="0.1", kind="market")
        rows = await told(lambda: client.fetch_positions_risk(["ETH/USDT:USDT"]))
        assert (rows[0]["side"], rows[0]["contracts"] > 0) == ("short", True)
        ledger = await client.fetch_ledger("USDT")
        assert {row["type"] for row in ledger} >= {"commission"}
    finally:
        await client.close()


@pytest.mark.parametrize("exchange", [BINANCE_SPOT, BINANCE_USDM])
async def test_ccxt_hears_orders_fills_and_balances(exchange: str, urls: Any) -> None:
    client, symbol = holder(exchange, urls), SYMBOLS[exchange]
    try:
        await client.load_markets()
        async with asyncio.timeout(60):
            orders = asyncio.create_task(client.watch_orders(symbol))
            balance = asyncio.create_task(client.watch_balance())
            while not orders.done():
                placed = await trade(
                    urls, exchange, symbol="BTCUSDT", side="buy", quantity="0.01", price="1100"
                )
                await asyncio.sleep(0.1)
            heard = (await orders)[-1]
            assert (heard["price"], heard["status"], heard["side"]) == (1100.0, "open", "buy")
            assert int(heard["id"]) <= int(placed["order"]["order_id"])
            trades = asyncio.create_task(client.watch_my_trades(symbol))
            while not trades.done():
                await trade(urls, exchange, symbol="BTCUSDT", side="buy", quantity="0.001", kind="market")
                await asyncio.sleep(0.1)
            fills = (await asyncio.to_thread(whole, urls, exchange))["fills"]
            assert {one["id"] for one in await trades} <= {fill["fill_id"] for fill in fills}
            assert (await balance)["USDT"]["total"] > 0
    finally:
        await client.close()


async def test_ccxt_is_refused_with_a_wrong_secret(urls: Any) -> None:
    import ccxt

    client = holder(BINANCE_SPOT, urls)
    try:
        await client.load_markets()
        client.secret = "another"
        with pytest.raises(ccxt.BaseError, match="-1022"):
            await client.fetch_balance()
        client.apiKey = "nobody"
        with pytest.raises(ccxt.AuthenticationError, match="-2015"):
            await client.fetch_balance()
    finally:
        await client.close()
