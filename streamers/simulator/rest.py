"""A REST answer as a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: int
    body: str
    headers: Mapping[str, str] = {}


class Carried(NamedTuple):
    """A request as it stood on the wire: what signatures are made of."""

    method: str = "GET"
    target: str = ""
    """Path and query, percent-encoded."""
    headers: Mapping[str, str] = {}
    """By lower-case names."""
    body: str = ""
