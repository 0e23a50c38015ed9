"""How a key signs at Deribit: the login of a socket, and each request by REST. No secret comes by here.

Both are HMAC-SHA256 in lower-case hex, made by whoever holds the secret, over text that is made here.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from msgspec.structs import replace

from trade_platform.exchanges.account import KeyFacts, PrivateRequest, Signed
from trade_platform.exchanges.deribit import wire

MILLISECOND: Final = 1000
AUTH: Final = "public/auth"
AUTH_PATH: Final = f"/api/v2/{AUTH}"


def login_text(key: KeyFacts, at: int, nonce: str) -> str:
    """What a login signs: milliseconds, nonce and data, of which there is none."""
    del key
    return f"{at // MILLISECOND}\n{nonce}\n"


def login_parameters(signed: Signed) -> dict[str, str | int]:
    """Of public/auth by client_signature."""
    return {
        "grant_type": "client_signature",
        "client_id": signed.key.key_id,
        "timestamp": signed.at // MILLISECOND,
        "nonce": signed.nonce,
        "data": "",
        "signature": signed.signature,
    }


def login_call(number: int, signed: Signed, scope: str) -> str:
    """The call that logs a socket in."""
    return wire.call(number, AUTH, **login_parameters(signed), scope=scope)


def refresh_call(number: int, refresh_token: str) -> str:
    """The call that keeps it logged in."""
    return wire.call(number, AUTH, grant_type="refresh_token", refresh_token=refresh_token)


def request_text(request: PrivateRequest, key: KeyFacts, at: int, nonce: str) -> str:
    """What a request by REST signs: its time, nonce, method, address and body, of which a GET has none."""
    if request.path == AUTH_PATH:
        return login_text(key, at, nonce)
    address = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
    return f"{at // MILLISECOND}\n{nonce}\n{request.method}\n{address}\n\n"


def signed_request(request: PrivateRequest, signed: Signed) -> PrivateRequest:
    """The request with what proves whose it is: a header, or a login's own parameters."""
    if request.path == AUTH_PATH:
        return replace(request, query={**request.query, **login_parameters(signed)})
    proof = (
        f"deri-hmac-sha256 id={signed.key.key_id},ts={signed.at // MILLISECOND},"
        f"nonce={signed.nonce},sig={signed.signature}"
    )
    return replace(request, headers={**request.headers, "Authorization": proof})
