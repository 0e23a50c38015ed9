"""A history read to its end: by windows of time, by numbers, or by time alone, each page naming the next.

Moments here are milliseconds, as in the questions. A page that is full is never taken for all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.account import Ask, Page, PrivateRequest
from trade_platform.exchanges.session import ProtocolViolation

PAGE: Final = 1000
"""Rows of a page, in all histories."""
MILLISECOND: Final = 1000


class Row(NamedTuple):
    """A row of a history."""

    number: int
    """By which the history counts; 0 where it does not."""
    time: int
    """By which it is asked for."""
    record: AccountRecord
    key: str = ""
    """By which it is known again where pages overlap."""


class Span(NamedTuple):
    """[since, until) in milliseconds."""

    since: int
    until: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One list that the exchange keeps, and how it is asked."""

    what: str
    path: str
    weight: int
    read: Callable[[bytes, int], Sequence[Row]]
    """(body, receive_time) → rows; raises ProtocolViolation where one cannot be read."""
    longest: int
    """Milliseconds from startTime to endTime."""
    query: Mapping[str, str | int] = {}
    cursor: str = ""
    """Parameter that names the first number; empty where there is none."""
    changes: bool = False
    """Rows change after they were made: what was made before a span may have changed in it."""

    def ask(
        self,
        query: Mapping[str, str | int],
        read: Callable[[Sequence[Row]], tuple[Sequence[Row], Ask | None]],
    ) -> Ask:
        """One page; ``read``: what of it counts, and where the rest is."""

        def page(body: bytes, receive_time: int) -> Page:
            rows, further = read(self.read(body, receive_time))
            return Page(records=[row.record for row in rows], further=further)

        request = asked(self.path, self.weight, **self.query, **query, limit=PAGE)
        return Ask(what=self.what, request=request, read=page)


def asked(path: str, weight: int, **query: str | int) -> PrivateRequest:
    """A signed question."""
    return PrivateRequest(path=path, query=query, weight=weight)


def span_of(since: int, until: int, *, before: int = 0) -> Span:
    """From microseconds: the milliseconds that lie in [since, until), and so many before them."""
    first = -(-since // MILLISECOND)
    return Span(max(0, first - before), -(-until // MILLISECOND))


def by_window(history: History, span: Span) -> Ask:
    """Window by window; where one is full, on by numbers, which need no windows."""
    end = min(span.until, span.since + history.longest)

    def read(rows: Sequence[Row]) -> tuple[Sequence[Row], Ask | None]:
        if len(rows) >= PAGE:
            return _of(history, rows, span), _after(history, rows, span)
        rest = Span(end, span.until)
        return rows, by_window(history, rest) if end < span.until else None

    return history.ask({"startTime": span.since, "endTime": max(span.since, end - 1)}, read)


def by_number(history: History, first: int, span: Span) -> Ask:
    """From a number on, until what is told lies beyond the span."""

    def read(rows: Sequence[Row]) -> tuple[Sequence[Row], Ask | None]:
        if rows and max(row.number for row in rows) < first:
            raise ProtocolViolation(f"{history.what}: asked from {first} on, told of what comes before")
        further = _after(history, rows, span) if len(rows) >= PAGE else None
        return _of(history, rows, span), further

    return history.ask({history.cursor: first}, read)


def _after(history: History, rows: Sequence[Row], span: Span) -> Ask | None:
    last = max(rows, key=lambda row: row.number)
    return by_number(history, last.number + 1, span) if last.time < span.until else None


def _of(history: History, rows: Sequence[Row], span: Span) -> Sequence[Row]:
    since = 0 if history.changes else span.since
    return [row for row in rows if since <= row.time < span.until]


def by_time(history: History, span: Span, seen: frozenset[str] = frozenset()) -> Ask:
    """Oldest first, on from the last moment of each full page; ``seen``: keys of the rows of that moment."""
    end = min(span.until, span.since + history.longest)

    def read(rows: Sequence[Row]) -> tuple[Sequence[Row], Ask | None]:
        fresh = [row for row in rows if row.key not in seen]
        if len(rows) < PAGE:
            return fresh, by_time(history, Span(end, span.until)) if end < span.until else None
        last = max(row.time for row in rows)
        if last <= span.since:
            raise ProtocolViolation(f"{history.what}: more than a page of one millisecond")
        return fresh, by_time(
            history, Span(last, span.until), frozenset(row.key for row in rows if row.time == last)
        )

    return history.ask({"startTime": span.since, "endTime": max(span.since, end - 1)}, read)


def by_halves(history: History, spans: Sequence[Span]) -> Ask:
    """Where neither numbers nor the sequence of a page can be relied on: a full page is asked in two."""
    span, *others = spans
    end = min(span.until, span.since + history.longest)
    rest = [Span(end, span.until), *others] if end < span.until else others

    def read(rows: Sequence[Row]) -> tuple[Sequence[Row], Ask | None]:
        if len(rows) < PAGE:
            return rows, by_halves(history, rest) if rest else None
        middle = (span.since + end) // 2
        if middle == span.since:
            raise ProtocolViolation(f"{history.what}: more than a page of one millisecond")
        return (), by_halves(history, [Span(span.since, middle), Span(middle, end), *rest])

    return history.ask({"startTime": span.since, "endTime": max(span.since, end - 1)}, read)
