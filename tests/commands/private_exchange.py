"""An exchange that only says what a key may do, over HTTP; and one private side that asks it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from trade_platform.exchanges.account import KeyFacts, Permissions, PermissionsAsk, PrivateRequest, Signed
from trade_platform.exchanges.limits import WEIGHT, Limit
from trade_platform.exchanges.session import RestError

GOOD: Final = Permissions(read=True, trade=False, withdraw=False, ip_restricted=True)


class Door:
    """What it answers, and what it was asked."""

    def __init__(self) -> None:
        self.permissions = GOOD
        self.further: Permissions | None = None
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self.url = ""


@contextmanager
def opened() -> Iterator[Door]:
    door = Door()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            door.asked.append(dict(parse_qsl(urlsplit(self.path).query)))
            further = urlsplit(self.path).path == "/further"
            status = 401 if further and door.further is None else door.status
            body = msgspec.json.encode(door.further if further else door.permissions)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        door.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield door
        server.shutdown()
        thread.join()


class PrivateSide:
    """As much of an AccountExchange as permissions need."""

    key = "deribit"
    rest_url = "http://127.0.0.1:1"
    limits: Sequence[Limit] = (Limit(WEIGHT, 60_000, 60),)

    def permissions(self) -> PermissionsAsk:
        return msgspec.structs.replace(self._ask("/permissions"), further=lambda _: self._ask("/further"))

    def _ask(self, path: str) -> PermissionsAsk:
        request = PrivateRequest(path=path, query={}, limit=WEIGHT, weight=1)
        return PermissionsAsk(request=request, read=lambda body: msgspec.json.decode(body, type=Permissions))

    def to_sign(self, request: PrivateRequest, key: KeyFacts, at: int, nonce: str) -> str:
        return f"{request.path} {key.key_id} {at} {nonce}"

    def with_signature(self, request: PrivateRequest, signed: Signed) -> PrivateRequest:
        query = {
            "key": signed.key.key_id,
            "at": str(signed.at),
            "nonce": signed.nonce,
            "signature": signed.signature,
        }
        return msgspec.structs.replace(request, query=query)

    def error_of(self, status: int, body: bytes) -> RestError | None:
        return RestError(13004, "invalid_credentials", retry=False) if status == 401 else None
