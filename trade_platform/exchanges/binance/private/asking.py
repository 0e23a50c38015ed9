"""Requests of ours over a private connection: each numbered, each to be answered in time.

The answers prove that the other side still listens, too: a private stream may be silent for days, and a
connection that hangs is as silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trade_platform.exchanges.session import Reason, Reconnect, Send

ANSWER_SECONDS: Final = 10.0
QUIET_SECONDS: Final = 60.0
"""After so long without a text the other side is asked whether it is there."""


class _Asked(msgspec.Struct):
    method: str
    at: float | None = None
    """When a look at the clock saw it first."""


class Asking:
    """The open requests of one connection, and its silence."""

    def __init__(self, probe: str) -> None:
        """``probe``: the method whose answer shows that somebody is there."""
        self._probe = probe
        self._open: dict[int, _Asked] = {}
        self._last_id = 0
        self._heard = 0
        self._counted = 0
        self._heard_at: float | None = None
        self.answers = False
        """It answered a probe: then it must answer every further one."""

    def ask(self, method: str, params: Mapping[str, str | int] | None = None) -> Send:
        """A numbered request."""
        self._last_id += 1
        self._open[self._last_id] = _Asked(method)
        request: dict[str, object] = {"id": self._last_id, "method": method}
        if params:
            request["params"] = params
        return Send(msgspec.json.encode(request).decode())

    def heard(self) -> None:
        """A text came."""
        self._heard += 1

    def answered(self, number: object) -> str:
        """Which method this answers; empty where nothing like it was asked."""
        asked = self._open.pop(number, None) if isinstance(number, int) else None
        if asked is None:
            return ""
        self.answers = self.answers or asked.method == self._probe
        return asked.method

    def oldest(self) -> str:
        """The request that an error without a number belongs to; it counts as answered."""
        return self._open.pop(next(iter(self._open))).method if self._open else ""

    def due(self, now: float) -> list[Send | Reconnect]:
        """A probe when it is time for one; the end where one stays without answer."""
        if self._heard_at is None or self._heard != self._counted:
            self._counted, self._heard_at = self._heard, now
        for number, asked in list(self._open.items()):
            if asked.at is None:
                asked.at = now
            elif now - asked.at > ANSWER_SECONDS:
                del self._open[number]
                if asked.method != self._probe or self.answers:
                    return [Reconnect(Reason.SESSION_SILENT, f"no answer to {asked.method}")]
        if now - self._heard_at < QUIET_SECONDS or self._open:
            return []
        self._heard_at = now
        return [self.ask(self._probe)]
