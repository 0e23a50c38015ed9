"""Rows of REST answers, spot and USD-M alike: decoded one by one, and none left out.

A history of which one row cannot be read is not known: there is no partial answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import msgspec

from trade_platform.exchanges.amounts import has_endless_number
from trade_platform.exchanges.binance.wire import UNREADABLE
from trade_platform.exchanges.session import ProtocolViolation

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


def reading(parse: Callable[P, T]) -> Callable[P, T]:
    """Whatever decoding raises on foreign text becomes the one error for it, without the text."""

    @wraps(parse)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return parse(*args, **kwargs)
        except UNREADABLE as error:
            raise ProtocolViolation(f"not an answer to {parse.__name__}: {error}"[:300]) from error

    return read


def decoded(decoder: msgspec.json.Decoder[R], body: bytes) -> R:
    """A body as what it should be; raises what decoding raises."""
    if has_endless_number(body):
        raise ProtocolViolation("a number that goes on and on")
    return decoder.decode(body)
