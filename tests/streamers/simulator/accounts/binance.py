"""Binance with accounts, in memory: an exchange, and clients that sign as the reference says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streamers.simulator.accounts.accounts_file import AccountSpec
from streamers.simulator.accounts.desk import Account, Desk
from streamers.simulator.accounts.halves import HALVES
from streamers.simulator.assembly import FLOORS
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Hub
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import BINANCE_SPOT, BINANCE_USDM, listings
from streamers.simulator.rest import Answer, Carried
from tests.streamers.simulator.conftest import START, Wire

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPOT = {"USDT": "100000", "BTC": "2", "ETH": "10"}
USDM = {"USDT": "100000", "BNB": "1"}


def spec(exchange: str, name: str = "main", **fields: Any) -> AccountSpec:
    """An account that trades only what it is told."""
    opening = SPOT if exchange == BINANCE_SPOT else USDM
    described = {
        "exchange": exchange,
        "name": name,
        "key_id": f"{name}-key",
        "secret": f"{name}-secret",
        "balances": opening,
        "orders_per_minute": 0,
        **fields,
    }
    return msgspec.convert(described, AccountSpec)


def edwards(exchange: str, name: str = "main", **fields: Any) -> AccountSpec:
    """The same with an Ed25519 key."""
    public = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
    return spec(exchange, name, algorithm="ed25519", public_key=public, **fields)


def make(*specs: AccountSpec, start: int = START, seed: int = 7) -> SimulatedExchange:
    """An exchange whose accounts are these."""
    key = specs[0].exchange
    hub, ledger = Hub(), Ledger()
    floor = FLOORS[key](key, listings(key, start), seed=seed, hub=hub, ledger=ledger)
    floor.open(start)
    return SimulatedExchange(
        floor, hub, ledger, desk=Desk(floor, HALVES[key](), list(specs), None), scale=1.0
    )


class Client:
    """Who holds an account's key."""

    def __init__(self, exchange: SimulatedExchange, name: str = "main") -> None:
        assert exchange.desk is not None
        self.exchange = exchange
        self.desk = exchange.desk
        self.account: Account = exchange.desk.accounts[name]
        self.spec = self.account.spec

    @property
    def now(self) -> int:
        """Milliseconds, as the exchange counts."""
        return self.exchange.source.shown // 1000

    def sign(self, text: str) -> str:
        if self.spec.algorithm == "ed25519":
            return base64.b64encode(PRIVATE.sign(text.encode())).decode()
        return hmac.new(self.spec.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def params(self, **more: Any) -> dict[str, Any]:
        """Of the WebSocket API."""
        params = {"apiKey": self.spec.key_id, "timestamp": self.now, **more}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return {**params, "signature": self.sign(text)}

    def ask(self, path: str, method: str = "GET", now: float = 0.0, **params: Any) -> Answer:
        """A signed request."""
        text = urlencode({**params, "timestamp": params.get("timestamp", self.now)})
        signature = urlencode({"signature": self.sign(text)})
        return self.send(f"{path}?{text}&{signature}", method, now)

    def send(self, target: str, method: str = "GET", now: float = 0.0, key: str | None = None) -> Answer:
        """A request with nothing but the key's name."""
        headers = {"x-mbx-apikey": self.spec.key_id if key is None else key}
        carried = Carried(method, target, headers)
        return self.exchange.answer(method, target.partition("?")[0], {}, now, carried)

    def read(self, path: str, **params: Any) -> Any:
        """What a signed request is answered."""
        answer = self.ask(path, **params)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def code(self, path: str, **params: Any) -> int:
        """With which code it is refused."""
        answer = self.ask(path, **params)
        assert answer.status >= 400
        return int(json.loads(answer.body)["code"])

    def place(self, symbol: str, side: Any, quantity: str, **more: Any) -> str:
        """Trade; the order's id."""
        for name in ("price", "trigger_price"):
            if name in more:
                more[name] = Decimal(more[name])
        return self.account.trader.place(symbol, side, Decimal(quantity), **more).order_id

    def fill(self, order_id: str, price: str, quantity: str, number: int, *, maker: bool = True) -> None:
        """Fill as if the market had."""
        self.account.book.execute(
            order_id,
            Decimal(price),
            Decimal(quantity),
            self.exchange.source.shown,
            number=number,
            maker=maker,
        )

    def subscribe(self) -> Wire:
        """A private stream of everything."""
        if self.spec.exchange == BINANCE_USDM:
            return Wire(self.exchange, f"/private/ws/{self.listen_key()}")
        wire = Wire(self.exchange, "/ws-api/v3")
        answer = wire.say({"id": 1, "method": "userDataStream.subscribe.signature", "params": self.params()})
        assert answer["status"] == 200, answer
        wire.heard.clear()
        return wire

    def listen_key(self) -> str:
        return str(json.loads(self.send("/fapi/v1/listenKey", "POST").body)["listenKey"])


def still(exchange: SimulatedExchange) -> SimulatedExchange:
    """Nobody trades of himself: what happens is what a test does."""
    for pit in exchange.source.pits.values():  # type: ignore[attr-defined]
        pit.halted = True
    return exchange


def settle(wire: Wire, microseconds: int = 1000) -> list[Any]:
    """Let a moment pass; what was heard."""
    before = len(wire.heard)
    wire.run(wire.exchange.source.now + microseconds)
    return wire.heard[before:]


def strike(exchange: SimulatedExchange, **fault: Any) -> None:
    """Let something go wrong when the next moment passes."""
    exchange.faults.add(msgspec.convert(fault, Fault))
