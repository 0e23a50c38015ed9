"""What an HTTP answer of Binance's says went wrong, and whether to ask again.

Codes from -1000 to -1199 mean the same on spot and USD-M. Beyond them the two products use the same
numbers for different things (-2026 is an archived order here, an order type there), so each product
hands in its own.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.exchanges.binance.wire import UNREADABLE, Fault
from trade_platform.exchanges.session import RestError

RETRY: Final = frozenset(
    {
        -1000,  # unknown error
        -1001,  # disconnected inside
        -1003,  # too many requests, or banned until the time in the message
        -1006,  # unexpected response
        -1007,  # timeout inside: harmless for a read
        -1008,  # busy, throttled
        -1015,  # too many orders
        -1016,  # shutting down
        -1021,  # our clock is off: set it and ask again
        -1034,  # too many connections
    }
)
MAINTENANCE: Final = frozenset({-1016})
OVERLOAD: Final = frozenset({-1000, -1001, -1003, -1006, -1007, -1008})
"""With these codes a 503 is a passing overload, not maintenance."""
RETRIED_STATUS: Final = frozenset({408, 418, 425, 429})

_fault = msgspec.json.Decoder(Fault)


def error_of(
    status: int,
    body: bytes,
    *,
    retried_codes: frozenset[int] = frozenset(),
    passing_texts: tuple[str, ...] = (),
) -> RestError | None:
    """The error of an HTTP answer; None below 400.

    ``retried_codes`` are the product's own, ``passing_texts`` begin the messages of a 503 that will pass
    within a second. A 503 that says nothing known is maintenance: it comes from the gate in front.
    """
    if status < 400:
        return None
    fault = _fault_of(body)
    code = fault.code or status
    text = fault.msg or body[:200].decode(errors="replace").strip() or f"HTTP {status}"
    maintenance = code in MAINTENANCE or "market is closed" in text.lower()
    if status == 503 and code not in OVERLOAD and not text.startswith(passing_texts):
        maintenance = True
    retry = maintenance or status >= 500 or status in RETRIED_STATUS or code in RETRY or code in retried_codes
    return RestError(code, text, retry=retry, maintenance=maintenance)


def _fault_of(body: bytes) -> Fault:
    """Gates and proxies answer with pages of their own."""
    try:
        return _fault.decode(body)
    except UNREADABLE:
        return Fault()
