"""A page of REST rows, read row by row: one odd row must not cost the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from trade_platform.exchanges.amounts import has_endless_number
from trade_platform.exchanges.session import ProtocolViolation

T = TypeVar("T")
R = TypeVar("R")

TOLD: Final = 10
"""Odd rows of one page that are described; the count is told of all."""


class Page(list[T]):
    """What could be read of an answer; ``odd`` has a sentence for what could not.

    A trade that could not be read is a hole in the sequence, which whoever asked sees and records.
    """

    def __init__(self, rows: Iterable[T] = (), odd: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self.odd = tuple(odd)


def page_of(rows: Iterable[R], read: Callable[[R], T], unreadable: tuple[type[Exception], ...]) -> Page[T]:
    """Each row by itself; raises ProtocolViolation where there are rows and none of them can be read."""
    expected: tuple[type[Exception], ...] = (ProtocolViolation, *unreadable)
    good: list[T] = []
    odd: list[str] = []
    count = 0
    for count, row in enumerate(rows, 1):
        try:
            if isinstance(row, msgspec.Raw) and has_endless_number(memoryview(row)):
                raise ProtocolViolation("a number that goes on and on")
            good.append(read(row))
        except expected as error:
            odd.append(f"row {count}: {error}"[:200])
    if odd and not good:
        raise ProtocolViolation(f"not one of {count} rows can be read: {odd[0]}")
    more = [f"and {len(odd) - TOLD} more"] if len(odd) > TOLD else []
    return Page(good, odd[:TOLD] + more)


def odd_rows(page: Sequence[object]) -> tuple[str, ...]:
    """What an answer's parser could not read, where it tells."""
    return page.odd if isinstance(page, Page) else ()
