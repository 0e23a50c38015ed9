"""The shell: one port per exchange for WebSocket, REST and control; one task that lets time pass."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog
from aiohttp import web
from aiohttp.web_response import StreamResponse

from streamers.simulator.accounts import oracle
from streamers.simulator.accounts.book import Unacceptable
from streamers.simulator.archive import PREFIX
from streamers.simulator.carrier import Carrier
from streamers.simulator.door import Garbage, Refusal
from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.faults import Fault
from streamers.simulator.history_rest import PATH as HISTORY_PATH
from streamers.simulator.history_rest import Unanswerable, history_of
from streamers.simulator.hub import Conversation
from streamers.simulator.rest import Carried
from trade_platform.adapters.clock import Clock

TICK_SECONDS = 0.005
REMEMBER_SECONDS = 1.0
HOST = "127.0.0.1"
log = structlog.get_logger()


class ExchangeServer:
    """One exchange on one port."""

    def __init__(self, exchange: SimulatedExchange, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self.exchange = exchange
        self._clock = clock
        self._tls = tls
        self._carriers: dict[Conversation, Carrier] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, port: int) -> None:
        """Listen; 0 takes any free port. Raises OSError where the port is taken."""
        application = web.Application()
        application.router.add_get("/simulator/state", self._state)
        application.router.add_post("/simulator/pause", self._pause)
        application.router.add_post("/simulator/fault", self._fault)
        application.router.add_get(HISTORY_PATH, self._history)
        application.router.add_get(oracle.PATH, self._account)
        application.router.add_post(oracle.PATH, self._account)
        application.router.add_get(PREFIX + "{path:.*}", self._archived)
        application.router.add_route("*", "/{path:.*}", self._any)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Drop every client and the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def urls(self) -> dict[str, str]:
        secure = "s" if self._tls else ""
        return {
            "websocket": f"ws{secure}://{HOST}:{self.port}",
            "rest": f"http{secure}://{HOST}:{self.port}",
        }

    def tick(self, now: float) -> None:
        """Let the market move, hand out what it said, and do what is due on each connection."""
        for conversation, one in self.exchange.step(self._clock.market(), now):
            carrier = self._carriers.get(conversation)
            if carrier is not None:
                carrier.put(one)
        for conversation, carrier in self._carriers.items():
            carrier.put_all(self.exchange.due(conversation, now))

    async def _any(self, request: web.Request) -> StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        query: dict[str, Any] = dict(request.query)
        body = await request.read() if request.can_read_body else b""
        if request.method == "POST" and body:
            query |= self._body(body)
        await self._dawdle()
        headers = {name.lower(): value for name, value in request.headers.items()}
        carried = Carried(request.method, request.raw_path, headers, body.decode(errors="replace"))
        now = asyncio.get_running_loop().time()
        answer = self.exchange.answer(request.method, request.path, query, now, carried)
        return web.Response(
            status=answer.status,
            text=answer.body,
            content_type="application/json",
            headers=dict(answer.headers),
        )

    async def _archived(self, request: web.Request) -> StreamResponse:
        """A file of the archive, made in a thread of its own: the market must not stand still for it."""
        archive, now = self.exchange.archive, asyncio.get_running_loop().time()
        data = None if archive is None else await asyncio.to_thread(archive.answer, request.path, now)
        if data is None:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        return web.Response(body=data)

    def _body(self, body: bytes) -> dict[str, Any]:
        """A JSON-RPC body names its parameters under ``params``."""
        try:
            read = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return {}
        params = read.get("params", read) if isinstance(read, dict) else {}
        return params if isinstance(params, dict) else {}

    async def _socket(self, request: web.Request) -> StreamResponse:
        await self._dawdle()
        answer = self.exchange.knock(request.path_qs, asyncio.get_running_loop().time())
        if isinstance(answer, Refusal):
            return web.Response(status=answer.status, text=answer.body, headers=answer.headers)
        if isinstance(answer, Garbage):
            return _garbage(request, answer)
        conversation = answer.conversation
        socket = web.WebSocketResponse(autoping=False, autoclose=True, compress=False, timeout=2.0)
        await socket.prepare(request)
        carrier = self._carriers[conversation] = Carrier(socket, request, conversation)
        if answer.farewell:
            carrier.put(answer.farewell)
        log.info("client connected", exchange=self.exchange.key, path=request.path)
        try:
            await carrier.run(self.exchange)
        finally:
            del self._carriers[conversation]
            code = carrier.sent_code or socket.close_code
            log.info("client gone", exchange=self.exchange.key, code=code)
        return socket

    async def _dawdle(self) -> None:
        """A slow server takes its time before every answer."""
        slow = self.exchange.troubles.latest("slow", asyncio.get_running_loop().time())
        if slow:
            self.exchange.troubles.count("slow")
            await asyncio.sleep(slow.delay)

    async def _state(self, _request: web.Request) -> StreamResponse:
        return _json(self.exchange.state(asyncio.get_running_loop().time()))

    async def _history(self, request: web.Request) -> StreamResponse:
        """A day as counts and checksums, in a thread of its own: the market must not stand still for it."""
        try:
            told = await asyncio.to_thread(history_of, self.exchange.source, request.query)
        except Unanswerable as error:
            return web.json_response({"error": str(error)}, status=400)
        return _json(told)

    async def _account(self, request: web.Request) -> StreamResponse:
        """All that is true of an account; a POST trades for it first."""
        try:
            account = oracle.account_of(self.exchange.desk, request.query)
            if request.method == "GET":
                return _json(oracle.whole(account))
            command = msgspec.json.decode(await request.read(), type=oracle.Command)
            return _json(oracle.obey(account, command))
        except (oracle.NoSuchAccount, Unacceptable, msgspec.MsgspecError) as error:
            return web.json_response({"error": str(error)}, status=400)

    async def _pause(self, _request: web.Request) -> StreamResponse:
        """Stop the market for good; answer when everything said has left."""
        self.exchange.paused = True
        self.tick(asyncio.get_running_loop().time())
        await asyncio.gather(*(carrier.flushed() for carrier in list(self._carriers.values())))
        return _json(self.exchange.state(asyncio.get_running_loop().time()))

    async def _fault(self, request: web.Request) -> StreamResponse:
        """Let something go wrong now, or when its moment comes."""
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
        except msgspec.MsgspecError as error:
            return web.json_response({"error": str(error)}, status=400)
        why = self.exchange.objection(fault)
        if why:
            return web.json_response({"error": why}, status=400)
        self.exchange.faults.add(fault)
        return _json(self.exchange.state(asyncio.get_running_loop().time()))


async def pass_time(
    servers: Iterable[ExchangeServer], stop: asyncio.Event, remember: Callable[[], None]
) -> None:
    """Tick every few milliseconds until stopped; remember every second, and when a ledger turns."""
    servers = list(servers)
    loop = asyncio.get_running_loop()
    remembered = loop.time()
    while not stop.is_set():
        now = loop.time()
        for server in servers:
            server.tick(now)
        if now - remembered >= REMEMBER_SECONDS or any(server.exchange.ledger.turned for server in servers):
            for server in servers:
                server.exchange.ledger.turned = False
            remember()
            remembered = now
        spent = loop.time() - now
        try:
            await asyncio.wait_for(stop.wait(), max(TICK_SECONDS - spent, 0.0005))
        except TimeoutError:
            continue


def _garbage(request: web.Request, answer: Garbage) -> web.Response:
    """Bytes that are no HTTP, and the end of the connection."""
    if request.transport is not None:
        request.transport.write(answer.data)
        request.transport.close()
    return web.Response(status=400)


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
