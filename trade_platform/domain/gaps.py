"""The life of a gap: what proves it closed, when it is tried again, and what is said of it in the end.

A gap in numbers is closed when every number is held. A gap in time is closed for trades when no number is
missing between the last trade held before it and the first held after it, for candles when each of its
minutes has a closed one. Quotes, tickers, marks and the like are sent once, and by nobody again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import MICROSECONDS, MINUTE, Channel


class State(StrEnum):
    """Where a gap stands."""

    OPEN = "open"
    REPAIRED = "repaired"
    UNREPAIRABLE = "unrepairable"


class Source(StrEnum):
    """By what a gap was closed."""

    STREAMER = "streamer"
    """It came by itself: read again by the streamer, sent again, or never missed."""
    REST = "rest"
    ARCHIVE = "archive"
    CANDLES = "exchange candles"


class Proof(StrEnum):
    """What closes a gap."""

    NUMBERS = "numbers"
    """Each of its numbers is held."""
    NO_HOLE = "no hole"
    """No number is missing from the last held before it to the first held after it."""
    MINUTES = "minutes"
    """Each of its minutes has a closed candle."""
    EACH_CHANNEL = "each channel"
    """A whole connection's: one gap a channel takes its place."""
    NONE = "none"
    """Nothing: no exchange serves it again."""


class Verdict(msgspec.Struct, frozen=True):
    """What is to be written into the ledger."""

    state: State
    words: str
    by: Source | None = None


TRADES: Final = frozenset({Channel.TRADE, Channel.AGGREGATE_TRADE})
"""Channels whose numbers prove that nothing is missing."""
NOT_SERVED_AGAIN: Final = "no exchange serves it again"
FIRST_SECONDS: Final = 10.0
"""For whoever noted the gap to fill it: a streamer reads its own holes again at once."""
PAUSE_SECONDS: Final = (5.0, 30.0, 120.0, 600.0, 3600.0)
"""After the first attempt, the second …; the last is the cap."""
ENOUGH_ATTEMPTS: Final = 3
"""After so many, what REST leaves out or refuses is believed to be gone: it lags by seconds at times."""
ASKED_AGAIN: Final = "; it is asked again"
AWAITED: Final = "; waits for the archive of"
ARCHIVE_DAYS: Final = 7
"""A file that is not published so long after its day is not waited for any longer."""
CLOSE_LATENESS: Final = 5 * MICROSECONDS
"""A closed candle may be told so long after its minute."""


def proof_of(channel: Channel | None, *, numbered: bool) -> Proof:
    """What would prove that a gap is closed. ``numbered``: its sequence numbers are known."""
    if channel is None:
        return Proof.EACH_CHANNEL
    if channel in TRADES:
        return Proof.NUMBERS if numbered else Proof.NO_HOLE
    return Proof.MINUTES if channel is Channel.CANDLE else Proof.NONE


def pause_seconds(attempts: int) -> float:
    """How long to wait after so many attempts."""
    return PAUSE_SECONDS[min(max(attempts, 1), len(PAUSE_SECONDS)) - 1]


def is_due(attempts: int, detected_seconds_ago: float, attempted_seconds_ago: float | None) -> bool:
    """Whether the next attempt may be made."""
    if attempts == 0 or attempted_seconds_ago is None:
        return detected_seconds_ago >= FIRST_SECONDS
    return attempted_seconds_ago >= pause_seconds(attempts)


class Minutes(msgspec.Struct, frozen=True):
    """Openings [first, last] of the minutes whose closed candle a break in [since, until) may have lost."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return (self.last - self.first) // MINUTE + 1


def minutes_of(since: int, until: int) -> Minutes:
    """Those that were told, or should have been, while the break lasted: none in a short one.

    The running ones were not due yet, and those that ended well before it had come.
    """
    first = -(-(since - MINUTE - CLOSE_LATENESS) // MINUTE) * MINUTE
    return Minutes(first, max(until - 1, since) // MINUTE * MINUTE - MINUTE)


def are_over(minutes: Minutes, market_time: int) -> bool:
    """Each of them can have been told by now."""
    return minutes.last + MINUTE + CLOSE_LATENESS <= market_time


def inner_holes(held: Ranges, named: Ranges, settled_before: int) -> Ranges:
    """Numbers missing inside what is held that no gap names, as far as a later trade has settled.

    ``settled_before``: of a trade that is old enough; holes above it may still be filled in flight.
    """
    if held.lowest is None or held.highest is None:
        return Ranges()
    missing = held.missing(held.lowest, min(held.highest, settled_before) + 1) - named
    return Ranges(tuple(span for span in missing if span[1] <= settled_before))


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What the sources answered about one gap in numbers."""

    left_out: Ranges = Ranges()
    """Asked for, answered, and not in the answer; of all sources that were asked."""
    refusal: str = ""
    """The exchange's word where it refuses for good."""
    unreachable: str = ""
    """A source gave no answer: nothing is known."""
    archive: bool = False
    """There is an archive behind REST."""
    waits_for: str = ""
    """The archive has no file yet of this day."""
    archive_error: str = ""
    """The archive's file is there and cannot be used."""


def was_answered(words: str) -> bool:
    """At the last attempt the sources answered, and did not have it: the words say so."""
    return ASKED_AGAIN in words or AWAITED in words


def judge(attempt: Attempt, attempts: int, age_seconds: float, before: str) -> Verdict:
    """What to write after an attempt that left numbers missing. ``attempts`` counts this one.

    ``before``: what was written last. Attempts that nobody answered do not count: who was away for an hour
    is asked twice before it is believed.
    """
    if attempt.unreachable:
        return Verdict(State.OPEN, attempt.unreachable)
    if not attempt.left_out and not attempt.refusal:
        return Verdict(State.OPEN, "")
    why = _why(attempt)
    if attempts < ENOUGH_ATTEMPTS or not was_answered(before):
        return Verdict(State.OPEN, f"{why}{ASKED_AGAIN}")
    if attempt.waits_for and age_seconds < ARCHIVE_DAYS * 86_400:
        return Verdict(State.OPEN, f"{why}{AWAITED} {attempt.waits_for}")
    return Verdict(State.UNREPAIRABLE, f"{why}{_behind(attempt)}")


def _why(attempt: Attempt) -> str:
    if attempt.refusal:
        return f"the exchange refuses it ({attempt.refusal})"
    return f"REST leaves out {in_words(attempt.left_out)}"


def _behind(attempt: Attempt) -> str:
    if not attempt.archive:
        return ", and there is no archive"
    if attempt.archive_error:
        return f", and the archive cannot be used ({attempt.archive_error})"
    return ", and so does the archive"


def in_words(numbers: Ranges, most: int = 3) -> str:
    """``numbers 7 to 9 and 12`` for a person; the rest only counted."""
    parts = [f"{low}" if high == low + 1 else f"{low} to {high - 1}" for low, high in numbers.spans[:most]]
    more = len(numbers.spans) - most
    if more > 0:
        rest = sum(high - low for low, high in numbers.spans[most:])
        parts.append(f"{rest:,} in {more:,} more ranges")
    noun = "number" if numbers.count == 1 else "numbers"
    joined = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)
    return f"{noun} {joined}"


class Holes(msgspec.Struct, frozen=True):
    """How a gap in time stands for the trades of one exchange."""

    missing: Mapping[str, Ranges]
    """Symbol → numbers that lie in it and are not held."""
    waiting: tuple[str, ...]
    """Symbols that have not traded since: nothing proves yet that nothing is missing."""
    instruments: int

    @property
    def closed(self) -> bool:
        return not self.missing and not self.waiting
