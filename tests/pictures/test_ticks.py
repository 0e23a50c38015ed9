"""Where marks stand on an axis of time, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE
from trade_platform.pictures.ticks import HOUR, STEPS, span_in_words, step_of, ticks_of


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * MICROSECONDS


def test_marks_stand_at_round_times_and_name_the_day_where_it_changes() -> None:
    ticks = ticks_of(at("2026-11-21T22:10"), at("2026-11-22T03:10"), most=6)
    assert [words for _, words in ticks] == ["23:00\n21 Nov", "00:00\n22 Nov", "01:00", "02:00", "03:00"]
    assert all(time % HOUR == 0 for time, _ in ticks)


@pytest.mark.parametrize("span", [MINUTE, HOUR, 5 * HOUR, DAY, 40 * DAY, 3000 * DAY])
def test_there_are_never_more_marks_than_asked_for(span: int) -> None:
    start = at("2026-11-22T13:37")
    assert step_of(span, 8) in STEPS
    assert 1 <= len(ticks_of(start, start + span, 8)) <= 9


def test_days_are_marked_with_their_year() -> None:
    ticks = ticks_of(at("2026-12-30"), at("2027-01-02"), most=5)
    assert [words for _, words in ticks] == ["30 Dec\n2026", "31 Dec", "1 Jan\n2027", "2 Jan"]


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-22T14:00", "2026-11-22T15:00", "2026-11-22 14:00 – 15:00 UTC"),
        ("2026-11-21T23:00", "2026-11-22T01:30", "2026-11-21 23:00 – 2026-11-22 01:30 UTC"),
        ("2026-11-21", "2026-11-22", "2026-11-21 UTC"),
        ("2026-11-21", "2026-11-23", "2026-11-21 – 2026-11-22 UTC"),
        ("2026-11-22T14:00:05", "2026-11-22T15:00", "2026-11-22 14:00:05 – 15:00:00 UTC"),
    ],
)
def test_a_range_is_said_as_shortly_as_it_can_be(start: str, end: str, words: str) -> None:
    assert span_in_words(at(start), at(end)) == words
