"""Exchanges with accounts, in memory: a market, a desk, and clients that log in."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.accounts.book import Book
from streamers.simulator.accounts.desk import Account
from streamers.simulator.accounts.halves import open_desk
from streamers.simulator.assembly import FLOORS
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.hub import Hub
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import DERIBIT, SECOND, listings
from streamers.simulator.rest import Carried
from tests.streamers.simulator.conftest import START, Wire

OPENING = {"BTC": Decimal(10), "ETH": Decimal(100), "USDC": Decimal(100_000)}


def spec(**changes: Any) -> AccountSpec:
    given: dict[str, Any] = {
        "exchange": DERIBIT,
        "name": "main",
        "key_id": "KEY",
        "secret": "SECRET",
        "balances": OPENING,
    }
    return msgspec.convert(given | changes, AccountSpec)


def exchange_with(
    *specs: AccountSpec,
    key: str = DERIBIT,
    folder: Path | None = None,
    start: int = START,
    rate: float = 1.0,
) -> SimulatedExchange:
    hub, ledger = Hub(), Ledger()
    floor = FLOORS[key](key, listings(key, START), seed=7, hub=hub, ledger=ledger, rate=rate)
    floor.open(start)
    return SimulatedExchange(floor, hub, ledger, desk=open_desk(floor, list(specs), folder))


def account_of(exchange: SimulatedExchange, name: str = "main") -> Account:
    assert exchange.desk is not None
    return exchange.desk.accounts[name]


def run(exchange: SimulatedExchange, seconds: int, step: int = SECOND) -> None:
    """Let the market run, and say what is said to nobody."""
    until = exchange.source.now + seconds * SECOND
    while exchange.source.now < until:
        list(exchange.step(min(exchange.source.now + step, until), 0.0))


def prove(book: Book) -> None:
    """What is always true of a book."""
    for asset, balance in book.balances.items():
        changes = [one.change for one in book.movements if one.asset == asset]
        assert sum(changes, book.opening.get(asset, Decimal(0))) == balance
    for (symbol, side), position in book.positions.items():
        fills = [one for one in book.fills if (one.symbol, one.position_side) == (symbol, side)]
        signed = [one.quantity if one.side == "buy" else -one.quantity for one in fills]
        assert sum(signed, Decimal(0)) == position.quantity
    assert [one.number for one in book.movements] == list(range(1, len(book.movements) + 1))
    for order in book.orders.values():
        assert order.filled == sum((one.quantity for one in book.fills_of(order.order_id)), Decimal(0))


def signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Client(Wire):
    """One client of a Deribit with accounts."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        super().__init__(exchange, "/ws/api/v2")

    def call(self, method: str, now: float = 0.0, **params: Any) -> Any:
        return self.say({"jsonrpc": "2.0", "id": 9, "method": method, "params": params}, now)

    def log_in(self, key_id: str = "KEY", secret: str = "SECRET", late_ms: int = 0, **more: Any) -> Any:
        stamp = self.exchange.source.shown // 1000 - late_ms
        return self.call(
            "public/auth",
            grant_type="client_signature",
            client_id=key_id,
            timestamp=stamp,
            nonce="abc",
            data="",
            signature=signature(secret, f"{stamp}\nabc\n"),
            **more,
        )

    def hear(self, *channels: str) -> Any:
        return self.call("private/subscribe", channels=channels)["result"]


def ask(
    exchange: SimulatedExchange,
    method: str,
    *,
    secret: str = "SECRET",
    late_ms: int = 0,
    header: str | None = None,
    now: float = 0.0,
    **params: Any,
) -> Any:
    """A signed GET; the whole answer comes back."""
    path = f"/api/v2/{method}"
    target = path + ("?" + "&".join(f"{k}={v}" for k, v in params.items()) if params else "")
    stamp = exchange.source.shown // 1000 - late_ms
    sign = signature(secret, f"{stamp}\nn1\nGET\n{target}\n\n")
    signed = f"deri-hmac-sha256 id=KEY,ts={stamp},sig={sign},nonce=n1"
    headers = {"authorization": signed if header is None else header}
    texts = {name: str(value) for name, value in params.items()}
    answer = exchange.answer("GET", path, texts, now, Carried("GET", target, headers, ""))
    return {"status": answer.status, **json.loads(answer.body, parse_float=Decimal)}
