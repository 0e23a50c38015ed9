from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamers.backoff import CAP_SECONDS, HEALTHY_SECONDS, Backoff


def attempts_within(backoff: Backoff, seconds: float, *, delivered: bool, lived: float) -> int:
    at, attempts = 0.0, 0
    while at < seconds:
        attempts += 1
        at += lived + backoff.delay_after(delivered=delivered, lived_seconds=lived)
    return attempts


@given(st.floats(0, 1))
def test_a_server_that_accepts_and_closes_sees_six_attempts_in_the_first_minute(jitter: float) -> None:
    assert attempts_within(Backoff(lambda: jitter), 60, delivered=False, lived=0.0) <= 6


def test_data_on_a_connection_that_dies_young_does_not_reset_the_delay() -> None:
    assert attempts_within(Backoff(lambda: 0), 60, delivered=True, lived=0.1) <= 6


def test_a_long_life_without_data_does_not_reset_the_delay() -> None:
    backoff = Backoff(lambda: 0)
    delays = [backoff.delay_after(delivered=False, lived_seconds=100) for _ in range(4)]
    assert delays == sorted(set(delays))


def test_a_healthy_connection_resets_the_delay_and_its_ending_waits_all_the_same() -> None:
    backoff = Backoff(lambda: 0)
    first = backoff.delay_after(delivered=False, lived_seconds=0)
    for _ in range(8):
        backoff.delay_after(delivered=False, lived_seconds=0)
    assert backoff.delay_after(delivered=True, lived_seconds=HEALTHY_SECONDS) == first > 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100), st.floats(0, 500)), max_size=40), st.floats(0, 1))
def test_every_ending_waits_within_the_cap_and_as_long_as_was_asked(
    endings: list[tuple[bool, float, float]], jitter: float
) -> None:
    backoff = Backoff(lambda: jitter)
    for delivered, lived, at_least in endings:
        delay = backoff.delay_after(delivered=delivered, lived_seconds=lived, at_least=at_least)
        assert at_least <= delay
        assert 0 < delay <= max(CAP_SECONDS, at_least) * 1.2 * (1 + 1e-12)  # 131.5 * 1.2 is not 131.5 + 26.3


def test_days_of_quiet_are_not_made_days_and_hours() -> None:
    assert (
        Backoff(lambda: 1.0).delay_after(delivered=False, lived_seconds=0.0, at_least=259_200.0) <= 259_230.0
    )


def test_an_attempt_that_nobody_answered_has_waited_already_and_one_that_was_refused_has_not() -> None:
    unanswered, refused = Backoff(lambda: 0), Backoff(lambda: 0)
    for _ in range(8):
        unanswered.delay_after(delivered=False, lived_seconds=0, accepted=False, waited_seconds=10)
        refused.delay_after(delivered=False, lived_seconds=0, accepted=False)
    pause = unanswered.delay_after(delivered=False, lived_seconds=0, accepted=False, waited_seconds=10)
    assert 0 < pause < refused.delay_after(delivered=False, lived_seconds=0, accepted=False)
    asked = unanswered.delay_after(
        delivered=False, lived_seconds=0, at_least=7.0, accepted=False, waited_seconds=10
    )
    assert asked == 7.0
