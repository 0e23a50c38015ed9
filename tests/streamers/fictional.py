"""An exchange that does not exist: by one file, with its server half, for the tests of the streamer.

Its protocol is as small as one can be. The client says ``{"subscribe": ["AAA.trade"]}``, the server
acknowledges and sends ``{"c": "AAA.trade", "q": 7, "p": "1.5", "n": "2", "t": 1700000000000}`` per trade or
``{"c": "AAA.quote", "b": "1.4", "t": …}`` per quote, and ``{"say": "shutdown"}`` before it closes.
REST: ``/instruments``, ``/trades?symbol&first&last`` (at most ``PAGE``), ``/status``, ``/time``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

import msgspec
from aiohttp import WSMsgType, web

from trade_platform.domain.model import (
    Candle,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Instrument,
    InstrumentKind,
    InstrumentState,
    Metric,
    Number,
    Side,
    Trade,
)
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.liveness import Subscription, overdue
from trade_platform.exchanges.session import (
    ConnectionPlan,
    Missing,
    Output,
    ProtocolViolation,
    Reason,
    Reconnect,
    Request,
    RestError,
    Send,
    Session,
)

PAGE = 100


def name_of(wanted: Wanted) -> str:
    return f"{wanted.symbol}.{wanted.channel}"


def trade_of(row: Mapping[str, Any], symbol: str, receive_time: int) -> Trade:
    return Trade(
        symbol,
        row["q"],
        Decimal(row["p"]),
        Decimal(row["n"]),
        Side.BUY,
        row["t"] * 1000,
        receive_time,
        row["q"],
        row["q"],
    )


class FictionalSession:
    """Implements ``exchanges.session.Session``."""

    def __init__(self, plan: ConnectionPlan, silence_seconds: float | None) -> None:
        self.ignored: dict[str, int] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._silence_seconds = silence_seconds
        self._last: dict[str, int] = {}
        self._plan = plan

    def opened(self, now: float) -> Sequence[Output]:
        return self._subscribe(self._plan.wanted, now)

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[Output]:
        try:
            message = msgspec.json.decode(text)
            return self._understand(message, receive_time)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation(f"not of this protocol: {text[:60]!r}") from error

    def due(self, now: float) -> Sequence[Output]:
        for one in overdue(self.subscriptions.values(), now):
            reason = Reason.CHANNEL_SILENT if one.messages else Reason.NEVER_DELIVERED
            return [Reconnect(reason, one.name)]
        return []

    def change(self, wanted: Sequence[Wanted], now: float) -> Sequence[Output]:
        gone = self.subscriptions.keys() - {name_of(one) for one in wanted}
        for name in gone:
            del self.subscriptions[name]
        new = [one for one in wanted if name_of(one) not in self.subscriptions]
        farewell = [Send(json.dumps({"unsubscribe": sorted(gone)}))] if gone else []
        return [*farewell, *(self._subscribe(new, now) if new else [])]

    def expect(self, sequences: Mapping[str, int]) -> None:
        self._last.update(sequences)

    @property
    def live(self) -> bool:
        return all(one.live for one in self.subscriptions.values())

    def _subscribe(self, wanted: Iterable[Wanted], now: float) -> Sequence[Output]:
        names = []
        for one in wanted:
            silence = None if one.symbol == "" else self._silence_seconds
            subscription = Subscription(name=name_of(one), wanted=one, deadline_seconds=silence)
            subscription.requested(now)
            self.subscriptions[subscription.name] = subscription
            names.append(subscription.name)
        return [Send(json.dumps({"subscribe": names}))]

    def _understand(self, message: Any, receive_time: int) -> Sequence[Output]:
        if "ack" in message:
            for name in message["ack"]:
                if name in self.subscriptions:
                    self.subscriptions[name].acknowledged = True
            return []
        if message.get("say") == "shutdown":
            return [Reconnect(Reason.SHUTDOWN)]
        if message.get("say") == "listed":
            return [InstrumentState(message["symbol"], "listed", receive_time, receive_time)]
        symbol, _, channel = message["c"].partition(".")
        if message["c"] in self.subscriptions:
            self.subscriptions[message["c"]].messages += 1
        if channel == "quote":
            value, at = Decimal(message["b"]), message["t"] * 1000
            return [Number(symbol, Metric.BEST_BID, value, at, receive_time, Channel.QUOTE)]
        trade = trade_of(message, symbol, receive_time)
        last = self._last.get(symbol)
        self._last[symbol] = max(trade.sequence, last or 0)
        if last is not None and trade.sequence > last + 1:
            return [Missing(symbol, Channel.TRADE, last + 1, trade.sequence - 1), trade]
        return [trade]


class Fictional:
    """Implements ``exchanges.session.Exchange``: ``symbols_per_connection`` symbols a connection."""

    key = "fictional"
    channels = frozenset({Channel.TRADE, Channel.QUOTE})
    exchange_channels: frozenset[Channel] = frozenset()
    weight_per_minute = 600_000

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:9",
        *,
        silence_seconds: float | None = None,
        maximum_age_seconds: float | None = None,
        symbols_per_connection: int = 2,
    ) -> None:
        self.rest_url = base_url
        self.websocket_url = base_url.replace("http", "ws", 1)
        self.maximum_age_seconds = maximum_age_seconds
        self._silence_seconds = silence_seconds
        self._symbols_per_connection = symbols_per_connection

    def plan(self, wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan] = ()) -> list[ConnectionPlan]:
        by_symbol: dict[str, list[Wanted]] = {}
        for one in wanted:
            by_symbol.setdefault(one.symbol, []).append(one)
        seats: dict[str, list[str]] = {}
        for plan in previous:
            stay = dict.fromkeys(one.symbol for one in plan.wanted if one.symbol in by_symbol)
            if stay:
                seats[plan.name] = list(stay)
        seated = {symbol for symbols in seats.values() for symbol in symbols}
        for symbol in sorted(by_symbol.keys() - seated):
            name = next((n for n, s in seats.items() if len(s) < self._symbols_per_connection), None)
            if name is None:
                name = next(f"market-{i}" for i in range(1000) if f"market-{i}" not in seats)
                seats[name] = []
            seats[name].append(symbol)
        return [
            ConnectionPlan(name=name, path="/feed", wanted=tuple(w for s in symbols for w in by_symbol[s]))
            for name, symbols in seats.items()
        ]

    def session(self, plan: ConnectionPlan, *, quote_interval: int = 0) -> Session:
        return FictionalSession(plan, self._silence_seconds)

    def trade_channel(self, channels: Iterable[Channel]) -> Channel | None:
        return Channel.TRADE if Channel.TRADE in channels else None

    def instruments_requests(self) -> list[Request]:
        return [Request(path="/instruments")]

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return [Instrument(symbol=symbol, kind=InstrumentKind.SPOT) for symbol in _decoded(body)]

    def trades_request(self, symbol: str, channel: Channel, first: int, last: int) -> Request:
        return Request(path="/trades", query={"symbol": symbol, "first": first, "last": last})

    def parse_trades(self, body: bytes, symbol: str, channel: Channel, receive_time: int) -> list[Trade]:
        return [trade_of(row, symbol, receive_time) for row in _decoded(body)]

    def last_trade_request(self, symbol: str, channel: Channel) -> Request:
        return Request(path="/trades", query={"symbol": symbol, "first": "last", "last": "last"})

    def candles_request(self, symbol: str, start: int, end: int) -> Request:
        raise NotImplementedError

    def parse_candles(self, body: bytes, symbol: str, receive_time: int) -> list[Candle]:
        raise NotImplementedError

    def time_request(self) -> Request:
        return Request(path="/time")

    def parse_time(self, body: bytes) -> int:
        return int(_decoded(body))

    def status_request(self) -> Request:
        return Request(path="/status")

    def parse_status(self, body: bytes, receive_time: int) -> ExchangeState:
        return ExchangeState(ExchangeStatus(_decoded(body)), "", "status", receive_time, receive_time)

    def error_of(self, status: int, body: bytes) -> RestError | None:
        if status < 400:
            return None
        return RestError(status, "refused", retry=status >= 500, maintenance=status == 503)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ProtocolViolation(f"not JSON: {body[:60]!r}") from error


class FictionalServer:
    """The other half, on a loopback port of its own; what it shall do wrong is set from outside."""

    def __init__(self) -> None:
        self.symbols = ["AAA", "BBB", "CCC"]
        self.trades: dict[str, list[dict[str, Any]]] = {}
        self.sockets: list[tuple[web.WebSocketResponse, set[str]]] = []
        self.accepted = 0
        self.subscribed: list[str] = []
        self.close_at_once = False
        self.refuse = 0
        """HTTP status for the handshake; 0 accepts."""
        self.status: str = "open"
        self.rest_errors = 0
        """So many REST requests for trades fail first."""
        self.rest_requests: list[str] = []
        self.newest_asked: list[str] = []
        """Symbols whose newest trade was asked for."""
        self.newest_told = asyncio.Event()
        """While it is not set, the newest trade as of the question is kept back."""
        self.newest_told.set()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_get("/feed", self._feed)
        app.router.add_get("/instruments", self._answer(lambda _: self.symbols))
        app.router.add_get("/status", self._answer(lambda _: self.status))
        app.router.add_get("/time", self._answer(lambda _: 1))
        app.router.add_get("/trades", self._trades)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        for socket, _ in list(self.sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def emit(self, symbol: str, count: int = 1, *, deliver: bool = True) -> None:
        """The next trades of a symbol, delivered to whoever subscribed, or only kept for REST."""
        kept = self.trades.setdefault(symbol, [])
        for _ in range(count):
            number = len(kept) + 1
            kept.append({"q": number, "p": "1.5", "n": "2", "t": 1_700_000_000_000 + number})
            if deliver:
                await self.say({"c": f"{symbol}.trade", **kept[-1]}, f"{symbol}.trade")

    async def say(self, message: object, channel: str | None = None) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        for socket, names in list(self.sockets):
            if (channel is None or channel in names) and not socket.closed:
                await socket.send_str(text)

    async def cut(self) -> None:
        """Abort every connection, without a word."""
        for socket, _ in list(self.sockets):
            transport = socket._writer.transport if socket._writer else None
            if transport is not None:
                transport.abort()
        self.sockets.clear()

    async def subscription(self, name: str, connections: int = 1) -> None:
        """Wait until so many connections subscribed to it."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: sum(name in names for _, names in self.sockets) >= connections
            )

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        self.accepted += 1
        if self.refuse:
            return web.Response(status=self.refuse)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        if self.close_at_once:
            await socket.close()
            return socket
        names: set[str] = set()
        place = (socket, names)
        self.sockets.append(place)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._listen(socket, names, json.loads(message.data))
        if place in self.sockets:
            self.sockets.remove(place)
        return socket

    async def _listen(
        self, socket: web.WebSocketResponse, names: set[str], wish: dict[str, list[str]]
    ) -> None:
        names.difference_update(wish.get("unsubscribe", ()))
        if new := wish.get("subscribe"):
            names.update(new)
            self.subscribed += new
            await socket.send_str(json.dumps({"ack": new}))
        async with self._changed:
            self._changed.notify_all()

    async def _trades(self, request: web.Request) -> web.Response:
        kept = self.trades.get(request.query["symbol"], [])
        if request.query["first"] == "last":
            answer = kept[-1:]
            self.newest_asked.append(request.query["symbol"])
            await self.newest_told.wait()
            return web.json_response(answer)
        self.rest_requests.append(request.query_string)
        if self.rest_errors:
            self.rest_errors -= 1
            return web.Response(status=500)
        first, last = int(request.query["first"]), int(request.query["last"])
        return web.json_response([row for row in kept if first <= row["q"] <= last][:PAGE])

    @staticmethod
    def _answer(value: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            return web.json_response(value(request))

        return answer


if __name__ == "__main__":  # a streamer process for it, to be killed
    from streamers.__main__ import main

    sys.exit(main(exchanges={"fictional": Fictional(os.environ["FICTIONAL_URL"])}))
