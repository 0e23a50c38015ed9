"""Binance's server half: spot tells raw trades, USD-M aggregates."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tests.exchanges.suite.facts import Fact
from tests.exchanges.suite.voice import Farewell, Voice
from trade_platform.domain.model import Channel, ExchangeStatus, Side
from trade_platform.exchanges.session import Reason

UPKEEP = b"<html>Service Temporarily Unavailable</html>"


def _common(fact: Fact) -> dict[str, Any]:
    price, quantity, maker = str(fact.price), str(fact.quantity), fact.side is Side.SELL
    return {"p": price, "q": quantity, "T": fact.milliseconds, "m": maker}


def aggregate(fact: Fact) -> dict[str, Any]:
    """On the socket and by REST."""
    return {"a": fact.number, "f": fact.number, "l": fact.number, **_common(fact)}


def raw(fact: Fact) -> dict[str, Any]:
    """By REST, which has names of its own for them."""
    price, quantity, maker = str(fact.price), str(fact.quantity), fact.side is Side.SELL
    row = {"id": fact.number, "price": price, "qty": quantity, "time": fact.milliseconds}
    return {**row, "isBuyerMaker": maker}


class BinanceVoice(Voice):
    symbols = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    names_a_message = 200
    subscriptions_a_connection = 1024
    vocabulary = (*"eEsapqfltTmkouSbBAUx", "stream", "data", "id", "result", "event", "error", "code")
    farewells = (
        Farewell('{"e":"serverShutdown","E":1795338000000}', ExchangeStatus.SHUTDOWN, Reason.SHUTDOWN),
        Farewell(
            '{"event":{"e":"serverShutdown","E":1795338000000}}', ExchangeStatus.SHUTDOWN, Reason.SHUTDOWN
        ),
    )
    errors = (
        (429, b'{"code":-1003,"msg":"Too many requests."}', True, False),
        (503, UPKEEP, True, True),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', False, False),
    )

    def answer(self, text: str) -> list[str]:
        request = json.loads(text)
        names = request.get("params", [])
        if request["method"] == "LIST_SUBSCRIPTIONS":
            return [json.dumps({"result": sorted(self.subscribed), "id": request["id"]})]
        self.messages.append(names)
        if request["method"] == "SUBSCRIBE":
            self.subscribed |= set(names)
        else:
            self.subscribed -= set(names)
        return [json.dumps({"result": None, "id": request["id"]})]

    def trade(self, symbol: str, number: int) -> str:
        fact = Fact(number)
        event = "trade" if self.channel is Channel.TRADE else "aggTrade"
        data = {"e": event, "E": fact.milliseconds, "s": symbol, **self._row(fact)}
        return json.dumps({"stream": f"{symbol.lower()}@{event}", "data": data})

    def stranger(self) -> str:
        return '{"stream":"btcusdt@novelty","data":{"e":"novelty","E":1,"s":"BTCUSDT"}}'

    def _row(self, fact: Fact) -> dict[str, Any]:
        if self.channel is Channel.TRADE:
            return {"t": fact.number, **_common(fact)}
        return aggregate(fact)

    def reply(self, path: str, query: dict[str, Any]) -> Any:
        what = path.rpartition("/")[2]
        if "startTime" in query and what == "aggTrades":
            if self.channel is not Channel.TRADE:  # USD-M
                assert query["endTime"] - query["startTime"] < 3_600_000
            return [aggregate(fact) for fact in self.since(query["startTime"], query["endTime"])]
        if what in {"trades", "historicalTrades", "aggTrades"}:
            limit = query["limit"]
            first = query.get("fromId", self.newest - limit + 1)
            row = aggregate if what == "aggTrades" else raw
            return [row(fact) for fact in self.facts(first, self.newest, limit)]
        if what == "24hr":
            return {"symbol": query["symbol"], "lastId": self.newest or -1}
        if what == "klines":
            return [
                [one.start // 1000, *one.prices, one.volume, one.start // 1000 + 59_999, one.cost, one.trades,
                 "1", "100", "0"]
                for one in self.minutes(query["startTime"], query["endTime"])
            ][: query["limit"]]  # fmt: skip
        if what == "exchangeInfo":
            return {"symbols": [{"symbol": one, "status": "TRADING"} for one in self.symbols]}
        return {"time": {"serverTime": 1_795_338_000_123}, "status": {"status": 0, "msg": "normal"}}.get(
            what, {}
        )


class SpotVoice(BinanceVoice):
    messages_a_second = 5

    def statuses(self) -> list[tuple[bytes, ExchangeStatus]]:
        return [*super().statuses(), (b'{"status":1,"msg":"system maintenance"}', ExchangeStatus.MAINTENANCE)]


class UsdmVoice(BinanceVoice):
    messages_a_second = 10
    errors: ClassVar = (*BinanceVoice.errors, (418, b'{"code":-1003,"msg":"banned"}', True, False))
