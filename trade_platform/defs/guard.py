"""A guard before the web page: a foreign page in the same browser must not drive Dagster.

Dagster takes GraphQL by GET, with any content type, from any Origin and for any Host, and knows no login. A
browser sends such requests for every page that it shows; what it does not let a foreign page do without
asking is a POST of JSON, and it always says whose page asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

GRAPHQL: Final = "/graphql"
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")


def allowed_hosts(port: int, names: Iterable[str] = LOCAL) -> frozenset[str]:
    """What the Host header may say of a page on this port."""
    return frozenset(f"{name}:{port}" for name in names)


class Guard:
    """ASGI: refuses with a sentence, or hands on to the page."""

    def __init__(self, page: App, hosts: frozenset[str]) -> None:
        self._page = page
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one WebSocket, or the server's own life."""
        if scope["type"] in {"http", "websocket"} and (why := objection(scope, self._hosts)):
            await (_refuse if scope["type"] == "http" else _close)(why, receive, send)
            return
        await self._page(scope, receive, send)


def objection(scope: Scope, hosts: frozenset[str]) -> str:
    """Why this request is not to be answered, as a sentence; empty where it is."""
    headers: Sequence[tuple[bytes, bytes]] = scope.get("headers", ())
    named = _values(headers, b"host")
    if len(named) != 1 or named[0].lower() not in hosts:
        return "This page is served for this machine's own address only."
    origins = _values(headers, b"origin")
    if any(_foreign(origin, hosts) for origin in origins):
        return "Another page may not ask here."
    if scope["type"] == "websocket":
        return "" if origins else "A WebSocket must say whose page opens it."
    if scope["path"].rstrip("/") != GRAPHQL:
        return "" if scope["method"] in READING or origins or _is_json(headers) else _JSON
    if scope["method"] == "GET" and not scope.get("query_string"):
        return ""  # the editor for people
    if scope["method"] != "POST":
        return "GraphQL is asked by POST."
    return "" if _is_json(headers) else _JSON


_JSON: Final = "What is sent must be application/json."


def _foreign(origin: str, hosts: frozenset[str]) -> bool:
    parts = urlsplit(origin)
    return parts.scheme not in {"http", "https"} or parts.netloc.lower() not in hosts


def _is_json(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    kinds = _values(headers, b"content-type")
    return len(kinds) == 1 and kinds[0].partition(";")[0].strip().lower() == "application/json"


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


async def _refuse(why: str, receive: Receive, send: Send) -> None:
    del receive
    body = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _close(why: str, receive: Receive, send: Send) -> None:
    """Before it was accepted: the handshake is answered with 403."""
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": why})
