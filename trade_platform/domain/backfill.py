"""A day of the past, asked for by hand: when it is whole, and what became of it. Pure.

Numbers are contiguous, so a day is whole when the last trade before it, everything of it and the first
trade after it are held: nothing can lie between. The two neighbours are read with the day.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from trade_platform.domain.coverage import Ranges


class SourceOfDays(StrEnum):
    """Where a day's trades may be read."""

    ANY = "any"
    """Days that are over from the archive, where there is one; the rest by REST."""
    ARCHIVE = "archive"
    REST = "rest"


class Around(msgspec.Struct, frozen=True):
    """What is held of a day and next to it."""

    before: int | None
    """Highest number held of any day before."""
    held: Ranges
    after: int | None
    """Lowest number held of any day after."""

    def from_first(self, number: int) -> Around:
        """As if what precedes the first trade that there ever was were held."""
        return Around(number - 1, self.held, self.after)

    @property
    def begins(self) -> bool:
        """The last trade before the day is held, and the day goes on from there."""
        return self.before is not None and self.held.lowest == self.before + 1

    @property
    def ends(self) -> bool:
        """The first trade after the day is held, and the day reaches up to it."""
        return self.after is not None and self.held.highest == self.after - 1

    @property
    def is_whole(self) -> bool:
        """Nothing of the day can be missing."""
        if not self.held:
            return self.before is not None and self.after == self.before + 1
        return self.begins and self.ends and len(self.held.spans) == 1


class DayState(StrEnum):
    """How a day stands after a backfill."""

    WHOLE = "whole"
    """Everything from the last trade before it to the first after it is held."""
    OPEN = "open"
    """Everything that there was so far: the first trade after it is still to come."""
    LACKING = "lacking"
    """Some of it no source gives; the words say which, and why."""
    UNREACHABLE = "unreachable"
    """A source gave no answer: nothing is known, asking again helps."""


class DayOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one instrument's day."""

    exchange: str
    symbol: str
    day: date
    state: DayState
    words: str = ""
    """Why it is not whole."""
    trades: int = 0
    """That were read now."""
    candles: int = 0
    """The exchange's own minutes that were read now."""
    minutes: int = 0
    """Minutes of ours that the day has."""
    complete: int = 0
    """Of these, proven complete."""
    source: str = ""
    """What was asked: rest, archive, both; empty where all was held."""

    @property
    def good(self) -> bool:
        return self.state in (DayState.WHOLE, DayState.OPEN)
