"""What Binance's private streams have in common: types, the wrappings of an event, answers to requests.

Ids are integers on the wire, some beyond 2^53, and text everywhere else.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import msgspec

from trade_platform.domain.model import Side
from trade_platform.exchanges.amounts import has_endless_number
from trade_platform.exchanges.binance.wire import UNREADABLE, Fault, Id, Milliseconds, Word
from trade_platform.exchanges.session import ProtocolViolation

__all__ = ["UNREADABLE", "Id", "Milliseconds", "Text", "Word"]

Text = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[^\x00-\x1f]*$")]
"""Text that is kept as it came, and may be empty."""
Count = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]
"""An id where -1 stands for none."""

LARGEST_TEXT: Final = 4 * 1024 * 1024
"""Of one message: an account may hold a thousand assets."""
SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
LAST: Final = 2**63 - 1
"""``update`` of what ends an order without an execution: nothing of the same moment comes after it."""


def side_of(word: str) -> Side:
    """Raises ProtocolViolation: there is no third."""
    side = SIDES.get(word)
    if side is None:
        raise ProtocolViolation(f"{word[:20]} is no side")
    return side


def given(value: Decimal | None) -> Decimal | None:
    """Binance writes 0 for a price that there is not."""
    return value or None


class RateFault(msgspec.Struct):
    """What comes with an error that asks for quiet; both times are milliseconds UTC."""

    serverTime: Milliseconds = 0  # noqa: N815  Binance's own name
    retryAfter: Milliseconds = 0  # noqa: N815  Binance's own name


class ApiFault(Fault):
    """An error of the WebSocket API."""

    data: msgspec.Raw = msgspec.Raw()


class ApiAnswer(msgspec.Struct):
    """What the WebSocket API says to a request, or by itself when a key is taken no more."""

    id: int | str | None = None
    status: int = 200
    result: msgspec.Raw = msgspec.Raw()
    error: ApiFault | None = None


class Frame(msgspec.Struct):
    """A text: an event, plain or wrapped in one of two ways, or an answer."""

    e: str = ""
    event: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class Named(msgspec.Struct):
    e: str = ""


class Plain(msgspec.Struct, rename={"time": "E"}):
    """An event of which only its moment matters."""

    time: Milliseconds


class Event(msgspec.Struct, frozen=True):
    """An event without its wrapping."""

    name: str
    body: msgspec.Raw


_frame = msgspec.json.Decoder(Frame).decode
_named = msgspec.json.Decoder(Named).decode


def event_of(text: str | bytes) -> Event | None:
    """The event of a text, however it is wrapped; None: it is something else. Raises what decoding raises."""
    if len(text) > LARGEST_TEXT or has_endless_number(text):
        raise ProtocolViolation(f"{len(text)} characters are more than any message has")
    frame = _frame(text)
    for body in (frame.event, frame.data):
        if body:
            return Event(_named(body).e, body)
    return Event(frame.e, msgspec.Raw(text)) if frame.e else None
