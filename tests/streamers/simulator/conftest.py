"""In-memory exchanges: a market, a hub and a ledger without a disk, driven by explicit times."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from streamers.simulator.assembly import FLOORS
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.hub import Fragments, Hub, Instruction, Say
from streamers.simulator.ledger import Ledger
from streamers.simulator.listing import DERIBIT, MINUTE, SECOND, listings

START = 1_795_338_000 * SECOND
"""A whole minute of November 2026."""


class Wire:
    """One client joined to an exchange without a socket: it says things and collects what it hears."""

    def __init__(self, exchange: SimulatedExchange, url: str) -> None:
        conversation = exchange.converse(url, 0.0)
        assert conversation is not None
        self.exchange = exchange
        self.conversation = conversation
        self.heard: list[Any] = []
        self.texts: list[str] = []
        """Whole, also those that are no JSON."""
        self.fragmented: list[str] = []
        self.instructions: list[Instruction] = []
        self.take(exchange.reception.opened(conversation, 0.0))
        exchange.hub.join(conversation)

    def say(self, message: object, now: float = 0.0) -> Any:
        """Say something; the direct answer comes back."""
        text = message if isinstance(message, str) else json.dumps(message)
        before = len(self.heard)
        self.take(self.exchange.reception.hear(self.conversation, text, now))
        self.exchange.hub.refresh(self.conversation)
        return self.heard[before] if len(self.heard) > before else None

    def take(self, instructions: list[Instruction]) -> None:
        for one in instructions:
            if isinstance(one, Fragments):
                self.fragmented.append(one.text)
                self.texts.append(one.text)
                self.heard.append(json.loads(one.text))
            elif isinstance(one, Say):
                self.texts.append(one.text)
                with suppress(ValueError):
                    message = json.loads(one.text)
                    self.heard += [message] if isinstance(message, dict) else []
            else:
                self.instructions.append(one)

    def run(self, until: int, step: int = 1_000_000, now: float = 0.0) -> None:
        """Let the market run in steps and collect what is delivered."""
        market = self.exchange.source.now or START
        while market < until:
            market = min(market + step, until)
            for conversation, one in self.exchange.step(market, now):
                if conversation is self.conversation:
                    self.take([Say(one)] if isinstance(one, str) else [one])

    def subscribe(self, *streams: str) -> Any:
        if self.exchange.key == DERIBIT:
            return self.say(
                {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": streams}}
            )
        return self.say({"method": "SUBSCRIBE", "params": streams, "id": 1})

    def data(self, stream: str) -> list[Any]:
        """Payloads heard on one stream."""
        if self.exchange.key == DERIBIT:
            return [
                one["params"]["data"]
                for one in self.heard
                if one.get("method") == "subscription" and one["params"]["channel"] == stream
            ]
        return [one["data"] for one in self.heard if one.get("stream") == stream]


URLS = {
    "binance_spot": "/stream",
    "binance_usdm": "/market/stream",
    "deribit": "/ws/api/v2",
}


def make_exchange(key: str, seed: int = 7, start: int = START) -> SimulatedExchange:
    hub, ledger = Hub(), Ledger()
    floor = FLOORS[key](key, listings(key, start), seed=seed, hub=hub, ledger=ledger)
    floor.open(start)
    return SimulatedExchange(floor, hub, ledger)


@pytest.fixture
def exchange() -> Callable[..., SimulatedExchange]:
    return make_exchange


@pytest.fixture
def wire() -> Callable[..., Wire]:
    """A fresh exchange and one client of it."""

    def join(key: str, url: str | None = None, **options: Any) -> Wire:
        return Wire(make_exchange(key, **options), url or URLS[key])

    return join


def ledger_entries(exchange: SimulatedExchange, kind: str) -> list[dict[str, Any]]:
    return [entry for line in exchange.ledger.lines if (entry := json.loads(line))["kind"] == kind]


@pytest.fixture
def entries() -> Callable[[SimulatedExchange, str], list[dict[str, Any]]]:
    """Lines of a ledger that is kept in memory."""
    return ledger_entries


@pytest.fixture
def start() -> int:
    return START


@pytest.fixture
def minute() -> int:
    return MINUTE
