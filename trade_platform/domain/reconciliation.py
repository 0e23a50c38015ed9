"""What we hold of an account against what its exchange tells: pure rules, without time and without I/O.

A difference is named from our side: *missing* is what the exchange has and we have not. Only what an answer
speaks of is compared: what was not asked, not answered or lies beyond the exchange's memory stays unknown,
and is never taken for zero. Rows that changed around the moment of the question are left for the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from trade_platform.domain.account_books import WAITING, Books, key_of, newest_of
from trade_platform.domain.accounts import FINAL, OrderEvent, OrderState
from trade_platform.domain.difference import Difference, DifferenceKind, Subject, note
from trade_platform.domain.model import DAY, MICROSECONDS
from trade_platform.domain.reconciled_fields import FIELDS, Field, uncompared
from trade_platform.domain.valuation import NOTHING_KNOWN, Valuation

AHEAD: Final = 10 * MICROSECONDS
"""So far an exchange's clock may be ahead of ours."""
GUARD: Final = 3 * MICROSECONDS
"""What changed so shortly before a question, or after it, is not compared this time."""
UNFILLED_DAYS: Final[Mapping[str, int]] = {"binance_usdm": 3, "binance_spot": 90, "deribit": 2}
"""So long an exchange tells of orders that ended without a fill."""
MADE_BEFORE: Final = DAY
"""Binance tells orders by when they were made, and is asked from a day earlier on: of older ones nothing
can be said.
"""
HISTORIES: Final = (Subject.ORDERS, Subject.FILLS, Subject.MOVEMENTS)
"""Compared over a range of time; the others as they stand."""


class State(StrEnum):
    """What one run found out about one subject."""

    OK = "ok"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """It could not be asked, or not wholly."""
    NOT_SERVED = "not_served"
    """The exchange keeps no such list."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How one subject was asked. Times: microseconds UTC."""

    at: int
    """Before the first question."""
    since: int = 0
    """Of a history: [since, until)."""
    until: int = 0
    problem: str = ""
    """Why there is no answer, or not all of it; a sentence."""
    served: bool = True

    @property
    def whole(self) -> bool:
        return self.served and not self.problem


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange told."""

    books: Books = Books()
    open_orders: Sequence[OrderEvent] = ()
    """All that wait."""
    answers: Mapping[Subject, Answer] = {}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What we hold. Of histories at least the range that was asked, and all keys that were told."""

    books: Books = Books()
    at: int | None = None
    """When they were read, market time; what lies far ahead of it is wrong, and not just happening."""
    changed: Mapping[tuple[Subject, str], int] = {}
    """Since when a balance or position is what it is, where that is longer ago than its newest row."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    differences: Sequence[Difference]
    states: Mapping[Subject, State]
    compared: int
    """Rows that were held against each other."""
    skipped: int
    """Rows that were just changing."""


def compare(
    ours: Held,
    told: Told,
    *,
    exchange: str = "",
    valuation: Valuation = NOTHING_KNOWN,
    guard: int = GUARD,
) -> Comparison:
    """All subjects that were asked. The same whatever order rows stand in."""
    found: list[Difference] = []
    states: dict[Subject, State] = {}
    compared = skipped = 0
    for subject, answer in told.answers.items():
        if not answer.whole:
            states[subject] = State.UNKNOWN if answer.served else State.NOT_SERVED
            continue
        if subject not in FIELDS:
            continue
        one = _One(subject, answer, exchange, valuation, guard)
        one.compare(ours, told)
        found += one.found
        compared, skipped = compared + one.compared, skipped + one.skipped
        states[subject] = State.DIFFERS if one.found else State.OK
    return Comparison(
        differences=sorted(found, key=lambda one: one.identity),
        states=states,
        compared=compared,
        skipped=skipped,
    )


class _One:
    """One subject's comparison."""

    def __init__(
        self, subject: Subject, answer: Answer, exchange: str, valuation: Valuation, guard: int
    ) -> None:
        self.found: list[Difference] = []
        self.compared = self.skipped = 0
        self._subject = subject
        self._answer = answer
        self._quiet = answer.at - guard
        """Rows that changed after it are left alone."""
        self._latest: int | None = None
        self._unfilled = answer.at - UNFILLED_DAYS.get(exchange, 90) * DAY
        self._fields = [
            field for field in FIELDS[subject] if (subject, field.name) not in uncompared(exchange)
        ]
        self._valuation = valuation

    def compare(self, ours: Held, told: Told) -> None:
        mine = list(rows_of(self._subject, ours.books))
        self._duplicates(mine)
        self._latest = None if ours.at is None else ours.at + AHEAD
        held = newest_of(mine)
        asked = (
            told.open_orders if self._subject is Subject.OPEN_ORDERS else rows_of(self._subject, told.books)
        )
        theirs = newest_of(asked)
        changed = {key: at for (subject, key), at in ours.changed.items() if subject is self._subject}
        for key in held.keys() | theirs.keys():
            self._pair(key, held.get(key), theirs.get(key), changed.get(key))

    def _duplicates(self, rows: Sequence[Any]) -> None:
        if self._subject is Subject.OPEN_ORDERS:
            return  # said of orders already
        times: dict[str, list[Any]] = {}
        for row in rows:
            times.setdefault(key_of(row), []).append(row)
        for key, copies in times.items():
            if len(copies) > 1:
                self._note(key, DifferenceKind.DUPLICATE, "row", copies[0], None, ours_text=str(len(copies)))

    def _pair(self, key: str, ours: Any, theirs: Any, changed: int | None) -> None:
        if self._is_nothing(ours) and self._is_nothing(theirs):
            return
        if self._subject is Subject.OPEN_ORDERS and theirs is None and ours.state not in WAITING:
            return
        if self._is_changing(ours, theirs, changed):
            self.skipped += 1
            return
        if self._subject in HISTORIES and not self._is_asked(ours, theirs):
            return
        self.compared += 1
        if theirs is None or (ours is not None and self._is_nothing(theirs)):
            self._extra(key, ours, theirs)
        elif ours is None or self._is_nothing(ours):
            self._note(key, DifferenceKind.MISSING, self._whole, ours, theirs)
        else:
            self._fields_of(key, ours, theirs)

    def _is_nothing(self, row: Any) -> bool:
        """An asset of which nothing is held and a closed position are the same as no row."""
        if row is None:
            return True
        if self._subject is Subject.BALANCES:
            return not row.total and not row.locked
        return self._subject is Subject.POSITIONS and not row.quantity

    def _is_changing(self, ours: Any, theirs: Any, changed: int | None) -> bool:
        if ours is not None and self._is_late(ours.event_time if changed is None else changed):
            return True
        # A snapshot of money has no time of its own but that of the question.
        timeless = self._subject in (Subject.BALANCES, Subject.POSITIONS)
        return theirs is not None and not timeless and self._is_late(theirs.event_time)

    def _is_late(self, at: int) -> bool:
        return at > self._quiet and (self._latest is None or at <= self._latest)

    def _is_asked(self, ours: Any, theirs: Any) -> bool:
        """One side lies in the range; a row of ours alone counts only where they would still tell it."""
        times = [row.event_time for row in (ours, theirs) if row is not None]
        if not any(self._answer.since <= at < self._answer.until for at in times):
            return False
        return theirs is not None or self._would_be_told(ours)

    def _would_be_told(self, ours: Any) -> bool:
        if not isinstance(ours, OrderEvent):
            return True
        if ours.state not in FINAL or ours.state in (OrderState.REJECTED, OrderState.TRIGGERED):
            return (
                False  # open ones are asked for themselves; the others are in no exchange's history for sure
            )
        if ours.created is not None and ours.created < self._answer.since - MADE_BEFORE:
            return False
        return bool(ours.filled) or ours.event_time >= self._unfilled

    @property
    def _whole(self) -> str:
        return {Subject.BALANCES: "total", Subject.POSITIONS: "quantity"}.get(self._subject, "row")

    def _extra(self, key: str, ours: Any, theirs: Any) -> None:
        if self._subject is Subject.OPEN_ORDERS:
            self._note(key, DifferenceKind.STALE, "state", ours, None)
        else:
            self._note(key, DifferenceKind.EXTRA, self._whole, ours, theirs)

    def _fields_of(self, key: str, ours: Any, theirs: Any) -> None:
        older = (
            self._subject not in (Subject.FILLS, Subject.MOVEMENTS) and ours.event_time < theirs.event_time
        )
        kind = DifferenceKind.STALE if older else DifferenceKind.MISMATCHED
        for field in self._fields:
            if field.differs(ours, theirs):
                self._note(key, kind, field.name, ours, theirs, field)

    def _note(
        self,
        key: str,
        kind: DifferenceKind,
        name: str,
        ours: Any,
        theirs: Any,
        field: Field | None = None,
        *,
        ours_text: str | None = None,
    ) -> None:
        one = note(
            self._subject,
            key,
            kind,
            name,
            ours,
            theirs,
            self._valuation,
            about_money=not field or field.money,
        )
        self.found.append(one if ours_text is None else msgspec.structs.replace(one, ours=ours_text))


def rows_of(subject: Subject, books: Books) -> Iterable[Any]:
    """The rows that a subject is about."""
    return {
        Subject.OPEN_ORDERS: books.orders,
        Subject.ORDERS: books.orders,
        Subject.FILLS: books.fills,
        Subject.POSITIONS: books.positions,
        Subject.BALANCES: books.balances,
        Subject.MOVEMENTS: books.movements,
    }[subject]
