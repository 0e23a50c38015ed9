"""Deribit's public methods, asked over HTTP or over the socket: parameters in, result out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, takewhile
from typing import Any, NamedTuple

import msgspec

from streamers.simulator.candles import roll_up
from streamers.simulator.figures import plain
from streamers.simulator.limits import Bucket
from streamers.simulator.listing import INDICES
from streamers.simulator.rest import Answer
from streamers.simulator.source import Source
from streamers.simulator.tape import FOREVER, Print, Row

RESOLUTIONS = {str(minutes): minutes for minutes in (1, 3, 5, 10, 15, 30, 60, 120, 180, 360, 720)} | {
    "1D": 1440
}
MOST_ROWS = 5000
PREFIX = "/api/v2/"


class Answered(NamedTuple):
    """A result (JSON text) or an error object."""

    result: str = ""
    error: dict[str, Any] | None = None
    status: int = 200


class Refused(Exception):
    """The request is not answered; ``code`` is Deribit's own."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.answered = refusal(code, message, data)


def refusal(code: int, message: str, data: object = None) -> Answered:
    """An error object; over HTTP most come with status 400."""
    status = {10028: 429, 11051: 503, -32601: 400}.get(code, 400)
    error = {"code": code, "message": message, **({"data": data} if data is not None else {})}
    return Answered(error=error, status=status)


def envelope(number: object, answered: Answered, now: int) -> str:
    """The JSON-RPC object around a result; ``now`` in microseconds."""
    head = '{"jsonrpc":"2.0",' + (f'"id":{_dumps(number)},' if number is not None else "")
    body = f'"result":{answered.result}' if answered.error is None else f'"error":{_dumps(answered.error)}'
    return f'{head}{body},"usIn":{now},"usOut":{now + 150},"usDiff":150,"testnet":false}}'


class DeribitRest:
    """The public methods."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.maintenance = False
        self.locked_indices: list[str] = []
        self._credits = Bucket(50_000, 10_000)
        self._instrument_credits = Bucket(500_000, 10_000)
        self.methods: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "public/get_time": lambda _: str(self.source.shown // 1000),
            "public/test": lambda _: '{"version":"1.2.26"}',
            "public/hello": lambda _: '{"version":"1.2.26"}',
            "public/status": self._status,
            "public/get_instruments": self._instruments,
            "public/get_instrument": lambda params: _dumps(self.source.instruments()[self._symbol(params)]),
            "public/get_currencies": self._currencies,
            "public/get_last_trades_by_instrument": self._trades,
            "public/get_last_trades_by_instrument_and_time": self._trades,
            "public/get_tradingview_chart_data": self._chart,
            "public/ticker": lambda params: self._ticker(self._symbol(params)),
            "public/get_order_book": self._book,
            "public/get_index_price": self._index,
            "public/get_book_summary_by_instrument": lambda params: f"[{self._ticker(self._symbol(params))}]",
        }

    def now(self) -> int:
        """Market time, microseconds."""
        return self.source.shown

    def handle(self, method: str, path: str, query: Mapping[str, Any], now: float) -> Answer:
        """Answer one HTTP request; ``now`` in real seconds."""
        if method not in ("GET", "POST") or not path.startswith(PREFIX):
            return Answer(404, "")
        name = path.removeprefix(PREFIX)
        bucket, cost = (
            (self._instrument_credits, 10_000) if name == "public/get_instruments" else (self._credits, 500)
        )
        answered = (
            self.call(name, query, now) if bucket.take(cost, now) else refusal(10028, "too_many_requests")
        )
        return Answer(answered.status, envelope(None, answered, self.source.shown))

    def call(self, name: str, params: Mapping[str, Any], now: float) -> Answered:
        """One method, whichever way it was asked."""
        _ = now
        if self.maintenance:
            return refusal(11051, "system_maintenance")
        if name.startswith("private/"):
            return refusal(13009, "unauthorized", {"reason": "invalid_token"})
        method = self.methods.get(name)
        if method is None:
            return refusal(-32601, "Method not found")
        try:
            return Answered(method(params))
        except Refused as refused:
            return refused.answered

    def _status(self, _params: Mapping[str, Any]) -> str:
        locked = self.locked_indices
        word = "false" if not locked else "true" if len(locked) == len(INDICES) else "partial"
        return _dumps({"locked": word, "locked_indices": locked})

    def _instruments(self, params: Mapping[str, Any]) -> str:
        currency, kind = params.get("currency", "any"), params.get("kind", "any")
        expired = _truth(params.get("expired"))
        return _dumps(
            [
                one
                for one in self.source.instruments().values()
                if expired is (one.get("state") == "delivered")
                and currency in ("any", self._family(one))
                and kind in ("any", one["kind"])
            ]
        )

    def _family(self, one: Mapping[str, Any]) -> str:
        """The currency under which an instrument is listed: what it settles in."""
        return str(one.get("settlement_currency") or one["base_currency"])

    def _currencies(self, _params: Mapping[str, Any]) -> str:
        names = sorted({self._family(one) for one in self.source.instruments().values()})
        return _dumps(
            [
                {
                    "currency": name,
                    "currency_long": name,
                    "coin_type": name,
                    "min_confirmations": 1,
                    "fee_precision": 4,
                    "withdrawal_fee": 0.0,
                    "min_withdrawal_fee": 0.0,
                    "withdrawal_priorities": [],
                }
                for name in names
            ]
        )

    def _trades(self, params: Mapping[str, Any]) -> str:
        log = self.source.tape.log(self._symbol(params), "trade")
        count = min(max(self._integer(params, "count", 10), 1), 1000)
        first, last = self._integer(params, "start_seq", 0), self._integer(params, "end_seq", -1)
        since, until = self._integer(params, "start_timestamp", 0), self._integer(params, "end_timestamp", -1)
        last, until = last if last >= 0 else FOREVER, until if until >= 0 else FOREVER
        sorting = params.get("sorting", "default")
        oldest = sorting == "asc" or (sorting == "default" and params.get("start_seq") not in (None, ""))
        found: Iterator[Print]
        if oldest:
            ahead = log.ascending(first, since)
            found = takewhile(lambda one: one.sequence <= last and one.time <= until, ahead)
        else:
            back = log.descending(last, until)
            found = takewhile(lambda one: one.sequence >= first and one.time >= since, back)
        prints = list(islice(found, count + 1))
        more, prints = len(prints) > count, prints[:count]
        return f'{{"trades":[{",".join(map(_text, prints))}],"has_more":{"true" if more else "false"}}}'

    def _chart(self, params: Mapping[str, Any]) -> str:
        symbol, resolution = self._symbol(params), str(params.get("resolution", ""))
        if resolution not in RESOLUTIONS:
            raise Refused(
                -32602, "Invalid params", {"reason": "unsupported resolution", "param": "resolution"}
            )
        start, end = self._integer(params, "start_timestamp", -1), self._integer(params, "end_timestamp", -1)
        if start < 0 or end < 0:
            missing = "start_timestamp" if start < 0 else "end_timestamp"
            raise Refused(-32602, "Invalid params", {"reason": "is required", "param": missing})
        span = RESOLUTIONS[resolution] * 60_000
        spans: dict[int, list[Row]] = {}
        most = (MOST_ROWS + 2) * span // 60_000
        past = self.source.past(symbol, start // span * span, end + span, most, newest=True)
        for row in past + self.source.rows(symbol):
            spans.setdefault(row.open_time // span * span, []).append(row)
        rows = [
            roll_up(inside, at) if span > 60_000 else inside[0]
            for at, inside in spans.items()
            if start <= at <= end
        ]
        rows = rows[-MOST_ROWS:]
        columns = {
            "ticks": [str(row.open_time) for row in rows],
            "open": [plain(row.open) for row in rows],
            "high": [plain(row.high) for row in rows],
            "low": [plain(row.low) for row in rows],
            "close": [plain(row.close) for row in rows],
            "volume": [plain(row.volume) for row in rows],
            "cost": [plain(row.quote_volume) for row in rows],
        }
        lists = ",".join(f'"{name}":[{",".join(column)}]' for name, column in columns.items())
        return f'{{"status":"{"ok" if rows else "no_data"}",{lists}}}'

    def _ticker(self, symbol: str) -> str:
        if self.source.instruments()[symbol].get("state") == "delivered":
            raise Refused(13020, "not_found", {"param": "instrument_name"})
        text = self.source.tell(symbol, "ticker")
        if text is None:
            raise Refused(10020, "invalid_or_unsupported_instrument")
        return str(text)

    def _book(self, params: Mapping[str, Any]) -> str:
        symbol, depth = self._symbol(params), self._integer(params, "depth", 5)
        ticker = self._ticker(symbol)
        bids, asks = self.source.tell(symbol, "depth") or ([], [])
        quote = self.source.quote(symbol)

        def side(levels: list[tuple[str, str]]) -> str:
            return ",".join(f"[{price},{amount}]" for price, amount in levels[:depth])

        change = quote.update if quote else 0
        return f'{ticker[:-1]},"change_id":{change},"bids":[{side(bids)}],"asks":[{side(asks)}]}}'

    def _index(self, params: Mapping[str, Any]) -> str:
        price = self.source.tell(str(params.get("index_name", "")), "index")
        if price is None:
            raise Refused(-32602, "Invalid params", {"reason": "wrong format", "param": "index_name"})
        return f'{{"index_price":{price},"estimated_delivery_price":{price}}}'

    def _symbol(self, params: Mapping[str, Any]) -> str:
        symbol = params.get("instrument_name")
        if symbol is None:
            raise Refused(-32602, "Invalid params", {"reason": "is required", "param": "instrument_name"})
        if symbol not in self.source.instruments():
            raise Refused(13020, "not_found", {"param": "instrument_name"})
        return str(symbol)

    def _integer(self, params: Mapping[str, Any], name: str, default: int) -> int:
        value = params.get(name)
        if value is None or value == "":
            return default
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise Refused(
                -32602, "Invalid params", {"reason": "must be an integer", "param": name}
            ) from error


def _dumps(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _text(one: Print) -> str:
    return one.text


def _truth(value: object) -> bool:
    return value in (True, "true", "True", 1)
