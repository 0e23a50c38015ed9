"""What is signed, exactly: REST's percent-encoded query, the WebSocket API's parameters by alphabet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from trade_platform.exchanges.account import PrivateRequest, Signed

KEY_HEADER: Final = "X-MBX-APIKEY"
WINDOW_MILLISECONDS: Final = 60_000
"""How long a signed question is good for: it may wait for its turn, and reading twice does no harm."""
MILLISECOND: Final = 1000


def timed(query: Mapping[str, str | int], at: int) -> dict[str, str | int]:
    """A query with the moment (microseconds UTC) at which it was asked."""
    return {**query, "recvWindow": WINDOW_MILLISECONDS, "timestamp": at // MILLISECOND}


def rest_text(query: Mapping[str, str | int]) -> str:
    """Since 2026-01-15 the text is encoded first and signed then."""
    return "&".join(f"{quote(name, safe='')}={quote(str(value), safe='')}" for name, value in query.items())


def api_text(params: Mapping[str, str | int]) -> str:
    """Sorted by name, not encoded."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def signed_request(request: PrivateRequest, signed: Signed) -> PrivateRequest:
    """The signature stands last; a request that needs none says only whose it is."""
    headers = {**request.headers, KEY_HEADER: signed.key.key_id}
    if not request.signed:
        return msgspec.structs.replace(request, headers=headers)
    query = {**timed(request.query, signed.at), "signature": signed.signature}
    return msgspec.structs.replace(request, query=query, headers=headers)
