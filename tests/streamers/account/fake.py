"""A small exchange with private streams and histories, and a vault that signs for it; both really listen."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from trade_platform.domain.accounts import (
    ACCOUNT_KINDS,
    AccountNote,
    AccountRecord,
    Fill,
    Movement,
    NoteKind,
    OrderEvent,
)
from trade_platform.exchanges.account import (
    AccountOutput,
    Algorithm,
    Ask,
    KeyFacts,
    Known,
    Obtain,
    Page,
    Permissions,
    PermissionsAsk,
    PrivateRequest,
    Ready,
    Sign,
    Signed,
)
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT, Limit
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect, RestError, Send

SECRET = b"only the vault knows"
ACCOUNT = "operator.main"
KIND_OF = {record: kind for kind, record in ACCOUNT_KINDS.items()}
PAGE = 2


def signature(text: str) -> str:
    return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


def packed(records: Sequence[AccountRecord]) -> list[Any]:
    return [[KIND_OF[type(one)], one] for one in records]


def unpacked(pairs: Sequence[Any], receive_time: int) -> list[AccountRecord]:
    records = [msgspec.convert(one, ACCOUNT_KINDS[kind], strict=False) for kind, one in pairs]
    return [msgspec.structs.replace(one, receive_time=receive_time) for one in records]


class FakeSession:
    """Log in, subscribe, listen."""

    def __init__(self, key: KeyFacts, *, listen_keys: bool) -> None:
        self.ignored: dict[str, int] = {}
        self.listen_key = ""
        self.live = False
        self._listen_keys = listen_keys
        self._key = key

    def before(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        if not self._listen_keys:
            return ()

        def then(body: bytes) -> Sequence[AccountOutput]:
            self.listen_key = msgspec.json.decode(body)["key"]
            return ()

        def failed(sentence: str) -> Sequence[AccountOutput]:
            return (Reconnect(Reason.UNREACHABLE, sentence),)

        request = PrivateRequest(path="/key", method="POST", signed=False)
        return (Obtain(request=request, then=then, failed=failed),)

    def opened(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        def then(signed: Signed) -> Sequence[AccountOutput]:
            text = f"{signed.key.key_id}|{signed.at}|{signed.nonce}"
            return (Send(msgspec.json.encode({"login": signed.signature, "text": text}).decode()),)

        def failed(sentence: str) -> Sequence[AccountOutput]:
            return (Reconnect(Reason.UNREACHABLE, sentence),)

        prepare = "{0.key_id}|{1}|{2}".format
        return (Sign(purpose="login", prepare=prepare, then=then, failed=failed),)

    def receive(self, text: str | bytes, receive_time: int) -> Sequence[AccountOutput]:
        try:
            said = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ProtocolViolation("no JSON") from error
        match said:
            case {"ok": True}:
                return (Send('{"subscribe": true}'),)
            case {"ok": False}:
                note = AccountNote(NoteKind.REFUSED, "wrong signature", receive_time, receive_time)
                return (note, Reconnect(Reason.SUBSCRIBE_REFUSED))
            case {"subscribed": True}:
                self.live = True
                return (Ready(receive_time),)
            case {"records": pairs}:
                return unpacked(pairs, receive_time)
            case {"bye": True}:
                return (Reconnect(Reason.SHUTDOWN),)
            case {"alive": True}:
                return ()
        raise ProtocolViolation("never heard of")

    def due(self, now: float, receive_time: int) -> Sequence[AccountOutput]:
        return ()


class FakeAccounts:
    """The client's half."""

    key = "fake"
    maximum_age_seconds: float | None = None
    limits = (Limit(WEIGHT, 1e9, 1), Limit(CONNECTIONS, 1e9, 1))

    def __init__(self, server: FakeServer, *, listen_keys: bool = False) -> None:
        self.websocket_url = server.websocket_url
        self.rest_url = server.rest_url
        self._listen_keys = listen_keys
        self.reached = 0

    def path(self, listen_key: str) -> str:
        return f"/private/{listen_key}"

    def session(self, key: KeyFacts) -> FakeSession:
        return FakeSession(key, listen_keys=self._listen_keys)

    def to_sign(self, request: PrivateRequest, key: KeyFacts, at: int, nonce: str) -> str:
        return f"{request.path}|{sorted(request.query.items())}|{at}"

    def with_signature(self, request: PrivateRequest, signed: Signed) -> PrivateRequest:
        if not request.signed:
            return msgspec.structs.replace(request, headers={"X-Key": signed.key.key_id})
        headers = {"X-Key": signed.key.key_id, "X-Signature": signed.signature, "X-At": str(signed.at)}
        return msgspec.structs.replace(request, headers=headers)

    def open_orders(self) -> list[Ask]:
        return [self._ask("open_orders")]

    def order(self, symbol: str, order_id: str) -> list[Ask]:
        return []

    def balances(self) -> list[Ask]:
        return [self._ask("balances")]

    def positions(self) -> list[Ask]:
        return [self._ask("positions")]

    def orders(self, known: Known, since: int, until: int) -> list[Ask]:
        return [self._ask("orders", since=since, until=until)]

    def fills(self, known: Known, since: int, until: int) -> list[Ask]:
        """By symbol, as spot tells them."""
        return [self._ask("fills", symbol=one, since=since, until=until) for one in sorted(known.symbols)]

    def movements(self, known: Known, since: int, until: int) -> list[Ask]:
        return [self._ask("movements", since=since, until=until)]

    def reach(self, what: str, now: int) -> int:
        return self.reached

    def permissions(self) -> PermissionsAsk:
        return PermissionsAsk(request=PrivateRequest(path="/permissions"), read=lambda _: Permissions())

    def error_of(self, status: int, body: bytes) -> RestError | None:
        return RestError(status, body.decode(), retry=True) if status >= 400 else None

    def _ask(self, what: str, page: int = 0, **query: str | int) -> Ask:
        def read(body: bytes, receive_time: int) -> Page:
            said = msgspec.json.decode(body)
            further = self._ask(what, page + 1, **query) if said["further"] else None
            return Page(records=unpacked(said["records"], receive_time), further=further)

        return Ask(
            what=what, request=PrivateRequest(path=f"/{what}", query={**query, "page": page}), read=read
        )


class FakeServer:
    """The exchange's half: what happened, who listens, and what goes wrong."""

    def __init__(self) -> None:
        self.happened: list[AccountRecord] = []
        """Orders' events, fills, movements: the truth."""
        self.standing: dict[str, list[AccountRecord]] = {"open_orders": [], "balances": [], "positions": []}
        self.listeners: set[ServerConnection] = set()
        self.paths: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.refuse: set[str] = set()
        """Questions that are answered with an error."""
        self.closed = False
        """Who connects is sent away."""
        self.knows_key = True
        self.websocket_url = self.rest_url = ""

    async def happen(self, *records: AccountRecord, told: bool = True) -> None:
        self.happened += records
        if told:
            await self.say({"records": packed(records)})

    async def say(self, message: object) -> None:
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        for one in list(self.listeners):
            await one.send(text)

    async def cut(self) -> None:
        """Without a goodbye."""
        for one in list(self.listeners):
            one.transport.abort()
        self.listeners.clear()

    async def __aenter__(self) -> Self:
        self._ws = await serve(self._listen, "127.0.0.1", 0)
        self.websocket_url = f"ws://127.0.0.1:{self._ws.sockets[0].getsockname()[1]}"
        app = web.Application()
        app.router.add_route("*", "/{what}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.rest_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ws.close()
        await self._ws.wait_closed()
        await self._runner.cleanup()

    async def _listen(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        if self.closed:
            return
        try:
            async for text in connection:
                said = msgspec.json.decode(text)
                if "login" in said:
                    fine = self.knows_key and said["login"] == signature(said["text"])
                    await connection.send(msgspec.json.encode({"ok": fine}).decode())
                else:
                    self.listeners.add(connection)
                    await connection.send('{"subscribed": true}')
        finally:
            self.listeners.discard(connection)

    async def _answer(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        query = dict(request.query)
        self.asked.append({"what": what, **query})
        if what in self.refuse:
            return web.Response(status=500, text="not now")
        if what == "key":
            assert "X-Signature" not in request.headers
            return web.json_response({"key": "a-listen-key"})
        typed = {name: int(value) if value.isdecimal() else value for name, value in query.items()}
        text = f"/{what}|{sorted(typed.items())}|{request.headers['X-At']}"
        if request.headers["X-Signature"] != signature(text):
            return web.Response(status=401, text="wrong signature")
        records = self._records(what, query)
        page = int(query["page"])
        shown = records[page * PAGE : (page + 1) * PAGE]
        body = msgspec.json.encode({"records": packed(shown), "further": len(records) > (page + 1) * PAGE})
        return web.Response(body=body)

    def _records(self, what: str, query: dict[str, str]) -> list[AccountRecord]:
        if what in self.standing:
            return self.standing[what]
        kind = {"orders": OrderEvent, "fills": Fill, "movements": Movement}[what]
        since, until = int(query["since"]), int(query["until"])
        return [
            one
            for one in self.happened
            if isinstance(one, kind)
            and since <= one.event_time < until
            and query.get("symbol", getattr(one, "symbol", "")) == getattr(one, "symbol", "")
        ]


class FakeVault:
    """Signs for one account over a Unix socket, as the real one does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.signed: list[str] = []
        self.away = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = msgspec.json.decode(await reader.readline())
        answer: dict[str, object] = {"error": "The vault is busy.", "later": True}
        if question["do"] == "describe" and not self.away:
            answer = {
                "account": ACCOUNT,
                "tenant": "t",
                "exchange": "fake",
                "key_id": "key-1",
                "algorithm": Algorithm.HMAC_SHA256,
                "testnet": False,
            }
        elif not self.away:
            self.signed.append(question["purpose"])
            answer = {"signature": signature(question["text"])}
        writer.write(msgspec.json.encode(answer) + b"\n")
        await writer.drain()
        writer.close()
