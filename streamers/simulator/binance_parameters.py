"""Parameters of a Binance request, checked as Binance checks them."""

from __future__ import annotations

from collections.abc import Container, Mapping

Query = Mapping[str, str]


class Refused(Exception):
    """The request is not answered; ``code`` is Binance's own."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def required(query: Query, name: str) -> str:
    """A parameter that must be there."""
    if not query.get(name):
        raise Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return query[name]


def symbol_of(query: Query, known: Container[str]) -> str:
    """The symbol, one that is listed."""
    symbol = required(query, "symbol")
    if symbol not in known:
        raise Refused(-1121, "Invalid symbol.")
    return symbol


def integer(query: Query, name: str) -> int | None:
    """A whole number, None where it was not sent."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        legal = "legal range is '^[0-9]{1,20}$'."
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; {legal}")
    return int(text)


def limit_of(query: Query, default: int, most: int) -> int:
    """How many rows: what is too many is cut, as the exchange does."""
    limit = integer(query, "limit")
    return default if limit is None else max(1, min(limit, most))
