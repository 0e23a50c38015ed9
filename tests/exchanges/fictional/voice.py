"""The fictional exchange's server half."""

from __future__ import annotations

import json
from typing import Any

from tests.exchanges.suite.facts import Fact
from tests.exchanges.suite.voice import Farewell, Voice
from trade_platform.domain.model import ExchangeStatus
from trade_platform.exchanges.session import Reason


class FictionalVoice(Voice):
    symbols = ("AAA", "BBB", "CCC")
    names_a_message = 50
    messages_a_second = 4
    subscriptions_a_connection = 60
    vocabulary = (*"cqpntsbohlkvm", "say", "ack", "refused", "AAA.trade", "AAA.candle", "beat", "id")
    farewells = (
        Farewell('{"say":"shutdown"}', ExchangeStatus.SHUTDOWN, Reason.SHUTDOWN),
        Farewell('{"say":"maintenance"}', ExchangeStatus.MAINTENANCE, Reason.MAINTENANCE),
    )
    errors = ((429, b"", True, False), (503, b"", True, True), (404, b"", False, False))

    def answer(self, text: str) -> list[str]:
        wish = json.loads(text)
        if "beat" in wish:
            return []
        if "unsubscribe" in wish:
            self.messages.append(wish["unsubscribe"])
            self.subscribed -= set(wish["unsubscribe"])
            return []
        self.messages.append(wish["subscribe"])
        self.subscribed |= set(wish["subscribe"])
        return [json.dumps({"ack": wish["subscribe"]})]

    def trade(self, symbol: str, number: int) -> str:
        return json.dumps({"c": f"{symbol}.trade", **self._row(Fact(number))})

    def heartbeat(self) -> list[str]:
        return ['{"say":"beat"}', '{"say":"beat","id":7}']

    def stranger(self) -> str:
        return '{"c":"AAA.novelty"}'

    def _row(self, fact: Fact) -> dict[str, Any]:
        price, quantity = str(fact.price), str(fact.quantity)
        return {"q": fact.number, "p": price, "n": quantity, "t": fact.milliseconds, "s": str(fact.side)}

    def reply(self, path: str, query: dict[str, Any]) -> Any:
        if path == "/trades":
            first, last = query["first"], query["last"]
            newest = self.newest
            facts = self.facts(newest, newest) if first == "last" else self.facts(first, last, 100)
            return [self._row(fact) for fact in facts]
        if path == "/first":
            return [self._row(fact) for fact in self.since(query["since"], query["until"] - 1)]
        if path == "/candles":
            return [
                {**dict(zip("tohlk", (one.start // 1000, *one.prices), strict=True)), "n": one.volume,
                 "v": one.cost, "m": one.trades}
                for one in self.minutes(query["start"] // 1000, query["end"] // 1000)
            ][:100]  # fmt: skip
        return {"/instruments": list(self.symbols), "/time": 1_795_338_000_123, "/status": "open"}[path]

    def statuses(self) -> list[tuple[bytes, ExchangeStatus]]:
        return [*super().statuses(), (b'"closed"', ExchangeStatus.MAINTENANCE)]
