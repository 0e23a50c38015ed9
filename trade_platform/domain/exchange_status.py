"""Is an exchange open? What it says of itself, what it does, and what asking it shows, brought to one answer.

Every state has a way out that does not depend on the exchange's saying so: data on a connection that was
opened after it began, data that go on long after it, or the answer to a question, which is to be asked
for as long as the state lasts (``asking``). A notice ahead of time is believed although the exchange still
answers: only once it has cut a connection, or the notice has grown old, do answers take it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from trade_platform.domain.model import ExchangeState, ExchangeStatus

NOTICE_SECONDS: Final = 60.0
"""How long a state that was told holds while all goes on as before."""
FLOWING_SECONDS: Final = 5.0
"""Data that came so recently contradict a REST side that is in maintenance for itself."""
SCOPES: Final = 1000
"""Bound of what may be locked one by one; an exchange has some hundred indices."""
WHOLE: Final = ""

_OPEN, _PARTIAL = ExchangeStatus.OPEN, ExchangeStatus.PARTIAL
_GRAVITY: Final = {
    ExchangeStatus.OPEN: 0,
    ExchangeStatus.PARTIAL: 1,
    ExchangeStatus.SHUTDOWN: 2,
    ExchangeStatus.LOCKED: 3,
    ExchangeStatus.MAINTENANCE: 4,
}
_DISPROVEN_BY_DATA: Final = frozenset({ExchangeStatus.MAINTENANCE, ExchangeStatus.SHUTDOWN})
"""Where trading is locked, prices go on."""


class _Entry(msgspec.Struct):
    status: ExchangeStatus
    since: float
    cut: bool = False
    """A connection ended since."""


class Openness:
    """The states that hold now, by scope. Each call says which records that makes: entries, exits, once."""

    def __init__(self, occasion: Callable[[int], str] = lambda _: "") -> None:
        """``occasion``: what the exchange has announced for a time, for the reason of an entry."""
        self._occasion = occasion
        self._entries: dict[str, _Entry] = {}
        self._suspicion = ""
        self._data_at: float | None = None

    @property
    def status(self) -> ExchangeStatus:
        """The gravest of all."""
        held = [entry.status for entry in self._entries.values()]
        return max(held, key=_GRAVITY.__getitem__, default=_OPEN)

    @property
    def scopes(self) -> int:
        """How many states hold; at most ``SCOPES``."""
        return len(self._entries)

    @property
    def asking(self) -> bool:
        """Somebody must ask, because a state holds or is suspected."""
        return bool(self._entries or self._suspicion)

    # --- what comes over connections ---

    def heard(self, state: ExchangeState, now: float) -> list[ExchangeState]:
        """The exchange said it, of the whole or of some of its indices."""
        records: list[ExchangeState] = []
        for scope in _scopes(state):
            if state.status is _OPEN:
                records += self._leave(scope, state.reason, state)
            else:
                records += self._enter(scope, state, now)
        return records

    def delivers(self, now: float, market_time: int) -> list[ExchangeState]:
        """A connection that was opened later than any state that holds brought its first data."""
        self._suspicion = ""
        self._data_at = now
        return [*self._disproven(lambda _: True, market_time)]

    def flows(self, now: float, market_time: int) -> list[ExchangeState]:
        """Data came over whichever connection."""
        self._data_at = now
        return [*self._disproven(lambda entry: now - entry.since >= NOTICE_SECONDS, market_time)]

    def cut(self) -> None:
        """A connection ended."""
        for entry in self._entries.values():
            entry.cut = True

    def suspect(self, reason: str) -> None:
        """A refusal that sounds like maintenance (HTTP 503): the next answer decides."""
        self._suspicion = reason

    # --- what asking shows ---

    def answered(self, state: ExchangeState, now: float) -> list[ExchangeState]:
        """The exchange was asked, and this is all that is not open."""
        self._suspicion = ""
        if state.status is ExchangeStatus.MAINTENANCE and self._flowing(now):
            return []
        named = set() if state.status is _OPEN else set(_scopes(state))
        over = [scope for scope, entry in self._entries.items() if scope not in named]
        records = [
            record
            for scope in over
            if self._believable(self._entries[scope], now)
            for record in self._leave(scope, state.reason, state)
        ]
        for scope in named:
            records += self._enter(scope, state, now, asked=True)
        return records

    def unanswered(self, now: float, market_time: int) -> list[ExchangeState]:
        """It was asked and said nothing: with a refusal before, that is maintenance; alone, it is nothing."""
        if not self._suspicion or self._flowing(now):
            return []
        reason, self._suspicion = self._suspicion, ""
        state = ExchangeState(ExchangeStatus.MAINTENANCE, WHOLE, reason, market_time, market_time)
        return self._enter(WHOLE, state, now, asked=True)

    # --- entries and exits ---

    def _enter(
        self, scope: str, state: ExchangeState, now: float, *, asked: bool = False
    ) -> list[ExchangeState]:
        held = self._entries.get(scope)
        if held is not None and held.status is state.status:
            held.cut = held.cut or asked
            return []
        if held is not None and not asked and _GRAVITY[held.status] > _GRAVITY[state.status]:
            return []
        if held is None and len(self._entries) >= SCOPES:
            return []
        self._entries[scope] = _Entry(state.status, now, cut=asked)
        occasion = self._occasion(state.receive_time)
        reason = f"{state.reason} ({occasion})" if occasion else state.reason
        return [msgspec.structs.replace(state, scope=scope, reason=reason)]

    def _leave(self, scope: str, reason: str, state: ExchangeState) -> list[ExchangeState]:
        if self._entries.pop(scope, None) is None:
            return []
        return [msgspec.structs.replace(state, status=_OPEN, scope=scope, reason=reason)]

    def _disproven(self, old_enough: Callable[[_Entry], bool], market_time: int) -> Iterator[ExchangeState]:
        for scope, entry in list(self._entries.items()):
            if entry.status in _DISPROVEN_BY_DATA and old_enough(entry):
                del self._entries[scope]
                yield ExchangeState(_OPEN, scope, "data", market_time, market_time)

    def _believable(self, entry: _Entry, now: float) -> bool:
        """Only notices of an end are given ahead of it; a lock is what it is when it is told."""
        return entry.status not in _DISPROVEN_BY_DATA or entry.cut or now - entry.since >= NOTICE_SECONDS

    def _flowing(self, now: float) -> bool:
        return self._data_at is not None and now - self._data_at <= FLOWING_SECONDS


def _scopes(state: ExchangeState) -> Iterable[str]:
    """Several locked indices are told in one message, and unlocked one by one."""
    return state.scope.split(",") if state.scope else (WHOLE,)
