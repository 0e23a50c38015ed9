"""The life of a gap, as rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import (
    ARCHIVE_DAYS,
    ASKED_AGAIN,
    CLOSE_LATENESS,
    ENOUGH_ATTEMPTS,
    FIRST_SECONDS,
    PAUSE_SECONDS,
    Attempt,
    Proof,
    State,
    are_over,
    in_words,
    inner_holes,
    is_due,
    judge,
    minutes_of,
    pause_seconds,
    proof_of,
    was_answered,
)
from trade_platform.domain.model import MINUTE, Channel

numbers = st.frozensets(st.integers(1, 60), max_size=40).map(Ranges.of)
times = st.integers(1_790_000_000_000_000, 1_790_000_900_000_000)


@pytest.mark.parametrize("channel", [None, *Channel])
@pytest.mark.parametrize("numbered", [False, True])
def test_every_channel_has_one_proof_or_none(channel: Channel | None, numbered: bool) -> None:
    proof = proof_of(channel, numbered=numbered)
    if channel in (Channel.TRADE, Channel.AGGREGATE_TRADE):
        assert proof is (Proof.NUMBERS if numbered else Proof.NO_HOLE)
    elif channel is Channel.CANDLE:
        assert proof is Proof.MINUTES
    else:
        assert proof is (Proof.EACH_CHANNEL if channel is None else Proof.NONE)


def test_pauses_grow_to_the_cap_and_stay_there() -> None:
    pauses = [pause_seconds(attempts) for attempts in range(1, 20)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (PAUSE_SECONDS[0], PAUSE_SECONDS[-1])


@given(st.integers(0, 30), st.floats(0, 1e6), st.one_of(st.none(), st.floats(0, 1e6)))
def test_what_is_due_stays_due_until_it_is_attempted(
    attempts: int, detected: float, attempted: float | None
) -> None:
    later = None if attempted is None else attempted + 60
    if is_due(attempts, detected, attempted):
        assert is_due(attempts, detected + 60, later)


def test_whoever_noted_a_gap_has_some_seconds_to_fill_it() -> None:
    assert not is_due(0, FIRST_SECONDS - 1, None)
    assert is_due(0, FIRST_SECONDS, None)
    assert not is_due(1, 1e6, PAUSE_SECONDS[0] - 1)
    assert is_due(1, 1e6, PAUSE_SECONDS[0])


@given(times, st.integers(1, 20 * MINUTE), st.integers(0, 5_000_000))
def test_each_candle_that_was_told_during_a_break_is_among_its_minutes(
    since: int, length: int, late: int
) -> None:
    """A closed candle comes up to five seconds after its minute; the running one comes later by itself."""
    until = since + length
    minutes = minutes_of(since, until)
    assert minutes.first % MINUTE == minutes.last % MINUTE == 0
    assert minutes.count >= 0
    for one in range(minutes.first, minutes.last + MINUTE, MINUTE):
        assert since <= one + MINUTE + CLOSE_LATENESS, "it had come long before: nobody needs to have it"
        assert one + MINUTE < until + MINUTE
    opening = (since - 3 * MINUTE) // MINUTE * MINUTE
    while opening < until:
        told = opening + MINUTE + min(late, CLOSE_LATENESS)
        if since <= told < until:
            assert minutes.first <= opening
        if told < until and opening + MINUTE < until:
            assert opening <= minutes.last
        opening += MINUTE
    assert are_over(minutes, until + CLOSE_LATENESS)


@given(numbers, numbers, st.integers(0, 70))
def test_holes_lie_inside_what_is_held_and_below_what_has_settled(
    held: Ranges, named: Ranges, settled: int
) -> None:
    holes = inner_holes(held, named, settled)
    assert not holes & held
    assert not holes & named
    if holes:
        assert held.lowest is not None
        assert holes.lowest is not None
        assert holes.highest is not None
        assert held.lowest < holes.lowest
        assert holes.highest < settled
    if held.highest is not None and settled >= held.highest:
        assert holes == held.missing(held.lowest or 0, held.highest + 1) - named


answers = st.builds(
    Attempt,
    left_out=numbers,
    refusal=st.text(max_size=5),
    unreachable=st.text(max_size=5),
    archive=st.booleans(),
    waits_for=st.sampled_from(["", "2026-11-22"]),
    archive_error=st.sampled_from(["", "bad"]),
)
said_before = st.sampled_from(["", "deribit gave no answer.", f"REST leaves out number 7{ASKED_AGAIN}"])


@given(answers, st.integers(1, 10), st.floats(0, 1e7), said_before)
def test_a_verdict_follows_the_rules(attempt: Attempt, attempts: int, age: float, before: str) -> None:
    """Given up is only what was asked for often enough, answered, and left out."""
    verdict = judge(attempt, attempts, age, before)
    assert verdict.state is not State.REPAIRED, "only coverage says so"
    if verdict.state is State.UNREPAIRABLE:
        assert attempts >= ENOUGH_ATTEMPTS
        assert was_answered(before), "the attempt before was answered as well"
        assert not attempt.unreachable
        assert attempt.left_out or attempt.refusal
        assert not attempt.waits_for or age >= ARCHIVE_DAYS * 86_400
        assert verdict.words
    elif attempts >= ENOUGH_ATTEMPTS and was_answered(before) and not attempt.unreachable:
        assert attempt.waits_for or not (attempt.left_out or attempt.refusal)


def test_numbers_in_words() -> None:
    assert in_words(Ranges.of([7])) == "number 7"
    assert in_words(Ranges.of([7, 8, 9, 12])) == "numbers 7 to 9 and 12"
    assert in_words(Ranges.of([1, 3, 5, 7, 9])) == "numbers 1, 3, 5 and 2 in 2 more ranges"
