"""A REST answer as a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """What goes back over HTTP."""

    status: int
    body: str
    headers: Mapping[str, str] = {}
