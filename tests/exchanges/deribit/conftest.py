"""The other side of a Deribit conversation, by hand: two clocks that the test moves, and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.deribit import Deribit
from trade_platform.exchanges.deribit.session import DeribitSession
from trade_platform.exchanges.session import ConnectionPlan, Output, Reconnect, Rest, Send

MARKET = 1_766_000_000_000_000


class Conversation:
    def __init__(
        self,
        *wanted: tuple[str, str],
        quote_interval: int = 0,
        testnet: bool | None = False,
    ) -> None:
        self.wanted = tuple(Wanted(symbol, Channel(channel)) for symbol, channel in wanted)
        plan = ConnectionPlan(name="market-0", path="/ws/api/v2", wanted=self.wanted)
        self.session: DeribitSession = Deribit(testnet=testnet).session(plan, quote_interval=quote_interval)
        self.now = 100.0
        self.market = MARKET

    def open(self) -> Sequence[Output]:
        return self.session.opened(self.now)

    def start(self) -> Conversation:
        """Open, acknowledge everything."""
        outputs = list(self.open())
        while self.acknowledge(outputs):
            outputs = list(self.after(0.5))
        return self

    def say(self, **message: Any) -> Sequence[Output]:
        """The exchange sends this; its clock and ours move on by a millisecond."""
        self.market += 1000
        return self.session.receive(json.dumps({"jsonrpc": "2.0", **message}), self.market)

    def tell(self, channel: str, data: Any) -> Sequence[Output]:
        return self.say(method="subscription", params={"channel": channel, "data": data})

    def heartbeat(self) -> None:
        self.say(method="heartbeat", params={"type": "heartbeat"})

    def after(self, seconds: float) -> Sequence[Output]:
        self.now += seconds
        return self.session.due(self.now)

    def idle(self, seconds: float, step: float = 1.0) -> list[Output]:
        """So much time passes with nothing but heartbeats; ends early at a Reconnect or a question."""
        outputs: list[Output] = []
        end = self.now + seconds
        while self.now < end:
            self.heartbeat()
            outputs += self.after(step)
            if any(isinstance(output, Reconnect | Rest) for output in outputs):
                break
        return outputs

    def acknowledge(self, outputs: Iterable[Output], *leave_out: str) -> list[dict[str, Any]]:
        """Answer each subscribe call among the outputs, as the exchange does: in an order of its own."""
        made = [call for call in calls(outputs) if call["method"] == "public/subscribe"]
        for call in made:
            held = sorted(set(call["params"]["channels"]) - set(leave_out), reverse=True)
            self.say(id=call["id"], result=held, testnet=False)
        return made


def calls(outputs: Iterable[Output]) -> list[dict[str, Any]]:
    """The JSON-RPC requests among the outputs."""
    return [json.loads(output.text) for output in outputs if isinstance(output, Send)]


@pytest.fixture
def conversation() -> Callable[..., Conversation]:
    """``conversation(("BTC-PERPETUAL", "trade"), …)``."""
    return Conversation


@pytest.fixture
def calls_of() -> Callable[[Iterable[Output]], list[dict[str, Any]]]:
    return calls


@pytest.fixture
def a_trade() -> Callable[..., dict[str, Any]]:
    """A trade as the exchange writes it."""

    def make(sequence: int, symbol: str = "BTC-PERPETUAL", **fields: Any) -> dict[str, Any]:
        return {
            "timestamp": 1765531356452,
            "price": 92294.5,
            "amount": 10.0,
            "direction": "sell",
            "index_price": 92276.75,
            "instrument_name": symbol,
            "trade_seq": sequence,
            "mark_price": 92287.11,
            "tick_direction": 2,
            "contracts": 1.0,
            "trade_id": str(403000000 + 3 * sequence),
            **fields,
        }

    return make
