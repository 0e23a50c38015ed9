"""A third-party client judges the simulator: ccxt must be able to talk to it, by REST and WebSocket."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest

from tests.streamers.simulator.serving import simulator

pytest.importorskip("ccxt", reason="ccxt is not installed (dependency group development)")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CASES = [
    ("binance", "binance_spot", "BTC/USDT"),
    ("binanceusdm", "binance_usdm", "BTC/USDT:USDT"),
    ("deribit", "deribit", "BTC/USD:BTC"),
]


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with simulator(
        tmp_path_factory.mktemp("ccxt"), "--rate", "5", "--history", "3", "--reach", "96"
    ) as process:
        yield process.ready()["urls"]


def client_of(name: str, urls: Any) -> Any:
    """The client, with every address of it turned to loopback."""
    import ccxt.pro

    client = getattr(ccxt.pro, name)()

    def turned(address: Any) -> Any:
        if isinstance(address, dict):
            return {key: turned(value) for key, value in address.items()}
        return re.sub(r"^https?://[^/]+", urls["rest"], address)

    api = client.urls["api"]
    client.urls["api"] = {key: value if key == "ws" else turned(value) for key, value in api.items()}
    if name == "deribit":
        client.urls["api"]["ws"] = urls["websocket"] + "/ws/api/v2"
    else:
        kind = {"binance": "spot", "binanceusdm": "linear"}[name]
        client.urls["api"]["ws"][kind] = urls["websocket"] + "/ws"
        client.options["fetchMarkets"] = {"types": [kind]}
    return client


@pytest.mark.parametrize(("name", "exchange", "symbol"), CASES)
async def test_ccxt_reads_markets_trades_candles_tickers_and_books(
    name: str, exchange: Any, symbol: str, urls: Any
) -> None:
    client = client_of(name, urls[exchange])
    try:
        markets = await client.load_markets()
        assert markets[symbol]["active"]
        assert markets[symbol]["precision"]["price"]
        trades = await client.fetch_trades(symbol, limit=20)
        assert len(trades) == 20
        assert {trade["side"] for trade in trades} <= {"buy", "sell"}
        candles = await client.fetch_ohlcv(symbol, "1m", limit=10)
        assert all(b[0] - a[0] == 60_000 for a, b in pairwise(candles))
        assert all(low <= open_ <= high and low <= close <= high for _, open_, high, low, close, _ in candles)
        ticker = await client.fetch_ticker(symbol)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        book = await client.fetch_order_book(symbol, limit=5)
        assert book["bids"][0][0] < book["asks"][0][0]
    finally:
        await client.close()


@pytest.mark.parametrize(("name", "exchange", "symbol"), CASES)
async def test_ccxt_reads_the_past(name: str, exchange: Any, symbol: str, urls: Any) -> None:
    client = client_of(name, urls[exchange])
    hour = 3_600_000
    try:
        await client.load_markets()
        now = await client.fetch_time()
        since = now // hour * hour - 50 * hour
        more = {"sorting": "asc"} if name == "deribit" else {}
        trades = await client.fetch_trades(symbol, since, 1000, {"until": since + hour - 1, **more})
        assert trades
        assert all(since <= trade["timestamp"] < since + hour for trade in trades)
        candles = await client.fetch_ohlcv(symbol, "1m", since, 60)
        inside = [candle for candle in candles if candle[0] < since + hour]
        assert [candle[0] for candle in inside] == list(range(since, since + hour, 60_000))
        for open_time, *figures, _ in inside:
            prices = [t["price"] for t in trades if open_time <= t["timestamp"] < open_time + 60_000]
            if prices:
                assert figures == [prices[0], max(prices), min(prices), prices[-1]]
            else:
                assert len(set(figures)) == 1
        (longer,) = (c for c in await client.fetch_ohlcv(symbol, "1h", since, 1) if c[0] == since)
        assert longer[1:5] == [
            inside[0][1],
            max(c[2] for c in inside),
            min(c[3] for c in inside),
            inside[-1][4],
        ]
    finally:
        await client.close()


@pytest.mark.parametrize(("name", "exchange", "symbol"), CASES)
async def test_ccxt_watches_trades_candles_and_quotes(
    name: str, exchange: Any, symbol: str, urls: Any
) -> None:
    client = client_of(name, urls[exchange])
    try:
        async with asyncio.timeout(60):
            seen: list[int] = []
            while len(seen) < 20:
                trades = await client.watch_trades(symbol)
                key = "trade_seq" if name == "deribit" else "t"
                seen += [int(trade["info"][key]) for trade in trades if int(trade["info"][key]) not in seen]
            assert (await client.watch_ohlcv(symbol, "1m"))[-1][4] > 0
            assert (await client.watch_ticker(symbol))["last"] > 0
    finally:
        await client.close()
    step = 4 if name == "binanceusdm" else 1  # raw ids of USD-M have holes
    assert all(1 <= b - a <= step for a, b in pairwise(seen))
