"""The fictional exchange of ``tests/exchanges/fictional`` with shorter deadlines, and a server of it.

The client half is the one that was added by one file; here it is told how long to wait, so that a test of
the streamer need not. The server half lies on a loopback port, with REST beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.exchanges.fictional.exchange import PAGE
from tests.exchanges.fictional.exchange import Fictional as Whole
from tests.exchanges.fictional.exchange import FictionalSession as WholeSession
from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT, Limit
from trade_platform.exchanges.liveness import overdue
from trade_platform.exchanges.session import ConnectionPlan, Output, Reason, Reconnect, Session

__all__ = ["PAGE", "Fictional", "FictionalServer", "FictionalSession"]

BEAT_SECONDS = 5.0


class FictionalSession(WholeSession):
    """Gives up a silent channel without asking REST, when it was told after how long."""

    def __init__(self, wanted: Sequence[Wanted], silence_seconds: float | None) -> None:
        self._silence_seconds = silence_seconds
        super().__init__(wanted)

    def change(self, wanted: Sequence[Wanted], now: float) -> Sequence[Output]:
        return [*super().change(wanted, now), *self._rest_of_it(now)]

    def due(self, now: float) -> Sequence[Output]:
        for one in overdue(self.subscriptions.values(), now):
            reason = Reason.CHANNEL_SILENT if one.messages else Reason.NEVER_DELIVERED
            return [Reconnect(reason, one.name)]
        return self._speak(now)

    def _deadline(self, wanted: Wanted) -> float | None:
        return self._silence_seconds if wanted.symbol else None

    def _rest_of_it(self, now: float) -> Sequence[Output]:
        """Whatever is still to be said, without the pause that the exchange asks for."""
        self._free_at = now
        return self._speak(now)


class Fictional(Whole):
    """``symbols_per_connection`` symbols a connection."""

    exchange_channels: frozenset[Channel] = frozenset()
    limits: Sequence[Limit] = (Limit(WEIGHT, 600_000, 60), Limit(CONNECTIONS, 60_000, 60))

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
        self.symbols_per_connection = symbols_per_connection
        self._silence_seconds = silence_seconds

    def session(self, plan: ConnectionPlan, *, quote_interval: int = 0) -> Session:
        return FictionalSession(plan.wanted, self._silence_seconds)


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
        beating = asyncio.create_task(self._beat(socket))
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._listen(socket, names, json.loads(message.data))
        beating.cancel()
        if place in self.sockets:
            self.sockets.remove(place)
        return socket

    @staticmethod
    async def _beat(socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await asyncio.sleep(BEAT_SECONDS)
            await socket.send_str('{"say":"beat"}')

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
