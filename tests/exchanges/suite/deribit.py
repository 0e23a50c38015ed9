"""Deribit's server half."""

from __future__ import annotations

import json
from typing import Any

from tests.exchanges.suite.facts import Fact
from tests.exchanges.suite.voice import Farewell, Voice
from trade_platform.domain.model import ExchangeStatus
from trade_platform.exchanges.session import Reason

LOCKED = '{"jsonrpc":"2.0","id":10,"error":{"code":11051,"message":"system_maintenance"}}'


class DeribitVoice(Voice):
    symbols = ("BTC-PERPETUAL", "ETH-PERPETUAL", "SOL_USDC-PERPETUAL")
    names_a_message = 500
    messages_a_second = 4
    subscriptions_a_connection = 500
    vocabulary = (
        "jsonrpc", "method", "params", "channel", "data", "id", "result", "error", "code", "type",
        "subscription", "heartbeat", "trade_seq", "timestamp", "trades.BTC-PERPETUAL.100ms",
    )  # fmt: skip
    farewells = (Farewell(LOCKED, ExchangeStatus.MAINTENANCE, Reason.MAINTENANCE),)
    errors = (
        (200, LOCKED.encode(), True, True),
        (400, b'{"error":{"code":10028,"message":"too_many_requests"}}', True, False),
        (400, b'{"error":{"code":13020,"message":"not_found"}}', False, False),
        (503, b"<html>", True, True),
    )

    def answer(self, text: str) -> list[str]:
        request = json.loads(text)
        method, names = request["method"], request["params"].get("channels", [])
        result: Any = "ok"
        if method == "public/test":
            result = {"version": "1.2.26"}
        elif method == "public/subscribe":
            self.messages.append(names)
            self.subscribed |= set(names)
            result = names
        elif method == "public/unsubscribe":
            self.messages.append(names)
            self.subscribed -= set(names)
            result = names
        return [json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result, "testnet": False})]

    def trade(self, symbol: str, number: int) -> str:
        return self._told(f"trades.{symbol}.100ms", [self._row(symbol, Fact(number))])

    def heartbeat(self) -> list[str]:
        return [
            json.dumps({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}})
            for kind in ("heartbeat", "test_request")
        ]

    def stranger(self) -> str:
        return self._told("novelty.BTC-PERPETUAL", {"timestamp": 1})

    def _told(self, channel: str, data: object) -> str:
        params = {"channel": channel, "data": data}
        return json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params})

    def _row(self, symbol: str, fact: Fact) -> dict[str, Any]:
        return {
            "instrument_name": symbol,
            "trade_seq": fact.number,
            "trade_id": f"T-{fact.number}",
            "timestamp": fact.milliseconds,
            "price": float(fact.price),
            "amount": float(fact.quantity),
            "direction": str(fact.side),
        }

    def reply(self, path: str, query: dict[str, Any]) -> Any:
        return {"jsonrpc": "2.0", "result": self._result(path.rpartition("/")[2], query)}

    def _result(self, method: str, query: dict[str, Any]) -> Any:
        if method == "get_last_trades_by_instrument":
            count = query["count"]
            first = query.get("start_seq", self.newest - count + 1)
            facts = self.facts(first, query.get("end_seq", self.newest), count)
            if query["sorting"] == "desc":
                facts.reverse()
            return {"trades": [self._row(query["instrument_name"], fact) for fact in facts]}
        if method == "get_last_trades_by_instrument_and_time":
            facts = self.since(query["start_timestamp"], query["end_timestamp"])
            return {"trades": [self._row(query["instrument_name"], fact) for fact in facts]}
        if method == "get_tradingview_chart_data":
            rows = [
                (one.start // 1000, *map(float, one.prices), float(one.volume), float(one.cost))
                for one in self.minutes(query["start_timestamp"], query["end_timestamp"])
            ]
            names = ("ticks", "open", "high", "low", "close", "volume", "cost")
            return {"status": "ok", **{name: [row[at] for row in rows] for at, name in enumerate(names)}}
        if method == "get_instruments":
            listed = [{"instrument_name": one, "kind": "future", "state": "open"} for one in self.symbols]
            return listed if query["kind"] == "future" else []
        return {"get_time": 1_795_338_000_123}.get(method, {"locked": "false", "locked_indices": []})

    def statuses(self) -> list[tuple[bytes, ExchangeStatus]]:
        return [*super().statuses(), (LOCKED.encode(), ExchangeStatus.MAINTENANCE)]
