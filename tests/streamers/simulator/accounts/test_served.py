"""The simulator as a process with ``--accounts``: the oracle by HTTP, a third-party client, a second life."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.streamers.simulator.serving import simulator

SECRET = "planted-secret-of-the-simulator"
ACCOUNTS = [
    {
        "exchange": "deribit",
        "name": "main",
        "key_id": "KEY",
        "secret": SECRET,
        "balances": {"BTC": "10", "ETH": "100", "USDC": "100000"},
        "orders_per_minute": 600,
    }
]


def arguments(folder: Path) -> tuple[str, ...]:
    path = folder / "accounts.json"
    path.write_text(json.dumps(ACCOUNTS))
    return "--exchange", "deribit", "--rate", "5", "--accounts", str(path)


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("accounts")
    with simulator(folder, *arguments(folder)) as process:
        yield process.ready()["urls"]["deribit"]["rest"]


def fetch(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data=data, timeout=10) as answer:
        return json.load(answer)


def oracle(rest: str) -> Any:
    return fetch(f"{rest}/simulator/account?name=main")


def until_traded(rest: str, fills: int = 5) -> Any:
    """The book, once so much was filled."""
    while True:
        book = oracle(rest)
        if len(book["fills"]) >= fills:
            return book


def until_filled(rest: str, symbol: str) -> None:
    """Until an order of this instrument was filled to its end."""
    while not any((one["symbol"], one["state"]) == (symbol, "filled") for one in oracle(rest)["orders"]):
        pass


def test_the_oracle_trades_on_demand(rest: str) -> None:
    url = f"{rest}/simulator/account?name=main"
    asked = {"do": "place", "symbol": "BTC-PERPETUAL", "side": "buy", "quantity": "10", "price": "50000"}
    order = fetch(url, asked)["order"]
    assert order["state"] == "open"
    assert order["order_id"] in {one["order_id"] for one in oracle(rest)["orders"]}
    fetch(url, {"do": "cancel", "order_id": order["order_id"]})
    for bad, where in (
        ({"do": "cancel", "order_id": order["order_id"]}, url),
        ({"do": "dance"}, url),
        (None, f"{rest}/simulator/account?name=x"),
    ):
        with pytest.raises(HTTPError) as refused:
            fetch(where, bad)
        assert refused.value.code == 400
        refused.value.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_ccxt_reads_the_account(rest: str) -> None:
    """A client that somebody else wrote signs, is let in, and reads what the oracle says."""
    pytest.importorskip("ccxt", reason="ccxt is not installed (dependency group development)")
    import ccxt.async_support as ccxt

    until_filled(rest, "BTC-PERPETUAL")
    client = ccxt.deribit({"apiKey": "KEY", "secret": SECRET, "enableRateLimit": False})
    client.urls["api"] = {"rest": rest}
    symbol = "BTC/USD:BTC"
    try:
        await client.load_markets()
        balance = await client.fetch_balance()
        assert set(oracle(rest)["balances"]) <= set(balance["total"])
        assert 9 < balance["total"]["BTC"] < 11
        trades = await client.fetch_my_trades(symbol, limit=100)
        fills = {one["fill_id"]: one for one in oracle(rest)["fills"]}
        assert trades
        for trade in trades:
            fill = fills[trade["id"]]
            assert (trade["order"], trade["side"]) == (fill["order_id"], fill["side"])
            assert (trade["price"], trade["amount"]) == (float(fill["price"]), float(fill["quantity"]))
            assert trade["fee"]["cost"] == float(fill["fee"])
            assert trade["takerOrMaker"] == ("maker" if fill["maker"] else "taker")
        symbols = {one["symbol"] for one in oracle(rest)["positions"]}
        positions = await client.fetch_positions()
        assert positions
        assert {one["info"]["instrument_name"] for one in positions} <= symbols
        states = {one["order_id"]: one for one in oracle(rest)["orders"]}
        for order in await client.fetch_open_orders(symbol):
            assert states[order["id"]]["symbol"] == "BTC-PERPETUAL"
        closed = await client.fetch_closed_orders(symbol, limit=20)
        known = {one["order_id"]: one for one in oracle(rest)["orders"]}
        assert closed
        for order in closed:
            assert order["filled"] == float(known[order["id"]]["filled"])
        client.secret = "another"
        with pytest.raises(ccxt.AuthenticationError):
            await client.fetch_balance()
    finally:
        await client.close()


def test_a_killed_simulator_goes_on_with_its_books(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    with simulator(tmp_path, *given) as process:
        before = until_traded(process.ready()["urls"]["deribit"]["rest"])
        process.kill()
    with simulator(tmp_path, *given) as process:
        after = oracle(process.ready()["urls"]["deribit"]["rest"])
    assert after["opening"] == before["opening"]
    assert after["fills"][: len(before["fills"])] == before["fills"]
    assert after["movements"][: len(before["movements"])] == before["movements"]


@pytest.mark.parametrize("text", ["nonsense", '[{"exchange": "deribit"}]'])
def test_an_unusable_file_ends_it_with_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(text)
    with simulator(tmp_path, "--exchange", "deribit", "--accounts", str(path)) as process:
        _, said = process.process.communicate(timeout=30)
        assert process.process.returncode == 2
        assert re.search(r"The file of accounts .* is not usable", said)
        assert "Traceback" not in said
