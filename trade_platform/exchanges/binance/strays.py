"""Events that come outside of the streams that were subscribed: unwrapped, in lists, of other types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

QUOTE_FIELDS: Final = frozenset("usbBaA")
"""Spot's quotes name no type."""

_text = msgspec.json.Decoder(str).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Stray(msgspec.Struct, frozen=True):
    """What an event says of itself."""

    event: str
    symbol: str = ""
    interval: str | None = None
    """Of candles only."""


def identify(fields: Mapping[str, msgspec.Raw], stream: str) -> Stray:
    """By its type or, where Binance gives none, by its fields, or by the stream that it came on."""
    if "e" in fields:
        event = _text(fields["e"])
    elif "lastUpdateId" in fields:
        event = "depthSnapshot"
    elif fields.keys() >= QUOTE_FIELDS:
        event = "bookTicker"
    else:
        event = stream.rpartition("@")[2] or "unnamed"
    interval = None
    if event == "kline" and "k" in fields:
        interval = _text(_fields(fields["k"]).get("i", msgspec.Raw(b'""')))
    owner = _fields(fields["o"]) if event == "forceOrder" and "o" in fields else fields
    symbol = owner.get("s")
    # Other types use "s" for other things; theirs is not asked for.
    return Stray(event, _text(symbol) if symbol is not None and bytes(symbol)[:1] == b'"' else "", interval)
