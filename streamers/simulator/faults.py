"""The fault script: what goes wrong, where and when. A list in TOML (``[[fault]]``) or JSON lines."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that goes wrong; at a time or after so many messages."""

    fault: Literal[
        "close", "abort", "silence", "skip", "duplicate", "refuse", "server_shutdown", "maintenance"
    ]
    exchange: str = ""
    """Empty: every exchange."""
    at: float | None = None
    after: int | None = None
    code: int = 1011
    """Of ``close``."""
    seconds: float = 10.0
    count: int = 1
    """How many frames with trades are skipped or said twice."""
    grace_seconds: float = 1.0
    """Between the goodbye and the close."""


class UnusableScript(Exception):
    """A fault script cannot be read; the sentence says why."""


class FaultScript:
    """Faults that still wait for their moment."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._waiting = list(faults)

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def due(self, elapsed: float, messages: int, exchange: str) -> Iterator[Fault]:
        """Take those whose moment has come."""
        for fault in list(self._waiting):
            due = (fault.at is None and fault.after is None) or (
                (fault.at is not None and elapsed >= fault.at)
                or (fault.after is not None and messages >= fault.after)
            )
            if due and fault.exchange in ("", exchange):
                self._waiting.remove(fault)
                yield fault


def read_faults(path: Path) -> list[Fault]:
    """Read a script; raises UnusableScript."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            rows = tomllib.loads(text).get("fault", [])
        else:
            rows = [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
        faults = msgspec.convert(rows, list[Fault])
    except OSError as error:
        raise UnusableScript(f"The fault script {path} cannot be read: {error.strerror}.") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnusableScript(f"The fault script {path} is not usable: {error}.") from error
    if not faults:
        raise UnusableScript(
            f"The fault script {path} holds no fault: it needs at least one [[fault]] table, "
            "or one JSON object a line where its name does not end in .toml."
        )
    return faults
