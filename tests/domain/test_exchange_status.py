from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.exchange_status import FLOWING_SECONDS, NOTICE_SECONDS, Openness
from trade_platform.domain.model import ExchangeState, ExchangeStatus

OPEN, PARTIAL, LOCKED, MAINTENANCE, SHUTDOWN = (
    ExchangeStatus.OPEN,
    ExchangeStatus.PARTIAL,
    ExchangeStatus.LOCKED,
    ExchangeStatus.MAINTENANCE,
    ExchangeStatus.SHUTDOWN,
)


def state(status: ExchangeStatus, scope: str = "", reason: str = "signal") -> ExchangeState:
    return ExchangeState(status, scope, reason, 1, 1)


def told(records: list[ExchangeState]) -> list[tuple[ExchangeStatus, str]]:
    return [(one.status, one.scope) for one in records]


signals = st.one_of(
    st.tuples(st.just("heard"), st.sampled_from(ExchangeStatus), st.sampled_from(["", "a", "b", "a,b"])),
    st.tuples(st.just("answered"), st.sampled_from(ExchangeStatus), st.sampled_from(["", "a", "a,b"])),
    st.sampled_from([("cut",), ("suspect",), ("unanswered",), ("flows",), ("delivers",)]),
)


def play(openness: Openness, signal: tuple[object, ...], now: float) -> list[ExchangeState]:
    match signal:
        case ("heard", ExchangeStatus() as status, str(scope)):
            return openness.heard(state(status, scope), now)
        case ("answered", ExchangeStatus() as status, str(scope)):
            return openness.answered(state(status, scope), now)
        case ("cut",):
            openness.cut()
        case ("suspect",):
            openness.suspect("HTTP 503")
        case ("unanswered",):
            return openness.unanswered(now, 1)
        case ("flows",):
            return openness.flows(now, 1)
        case ("delivers",):
            return openness.delivers(now, 1)
    return []


@given(st.lists(st.tuples(signals, st.floats(0, 30)), max_size=40))
def test_no_state_lasts_without_somebody_asking_and_answers_end_each(
    history: list[tuple[tuple[object, ...], float]],
) -> None:
    openness, now = Openness(), 0.0
    held: dict[str, ExchangeStatus] = {}
    for signal, pause in history:
        now += pause
        for record in play(openness, signal, now):
            assert held.get(record.scope, OPEN) is not record.status  # entries and exits, once each
            held[record.scope] = record.status
        if openness.status is not OPEN:
            assert openness.asking
    now += NOTICE_SECONDS + 1
    for record in openness.answered(state(OPEN), now):
        held[record.scope] = record.status
    assert openness.status is OPEN
    assert not openness.asking
    assert set(held.values()) <= {OPEN}  # what was told agrees with what holds


@given(st.lists(st.tuples(signals, st.floats(0, 30)), max_size=40))
def test_a_new_connection_that_delivers_ends_maintenance_whatever_rest_says(
    history: list[tuple[tuple[object, ...], float]],
) -> None:
    openness, now = Openness(), 0.0
    for signal, pause in history:
        now += pause
        play(openness, signal, now)
    openness.delivers(now, 1)
    assert openness.status not in (MAINTENANCE, SHUTDOWN)
    openness.answered(state(MAINTENANCE), now + FLOWING_SECONDS / 2)
    assert openness.status is not MAINTENANCE


def test_maintenance_with_notice_is_entered_once_and_left_once() -> None:
    openness = Openness()
    assert told(openness.heard(state(MAINTENANCE), 0.0)) == [(MAINTENANCE, "")]
    assert openness.heard(state(MAINTENANCE), 0.1) == []  # every connection says it
    assert openness.answered(state(OPEN), 1.0) == []  # it has not begun yet
    assert openness.flows(2.0, 1) == []
    openness.cut()
    assert openness.answered(state(MAINTENANCE), 8.0) == []
    assert told(openness.answered(state(OPEN), 13.0)) == [(OPEN, "")]
    assert not openness.asking


def test_a_notice_that_nothing_follows_grows_old() -> None:
    by_answer, by_data = Openness(), Openness()
    by_answer.heard(state(MAINTENANCE), 0.0)
    by_data.heard(state(MAINTENANCE), 0.0)
    assert told(by_answer.answered(state(OPEN), NOTICE_SECONDS)) == [(OPEN, "")]
    assert told(by_data.flows(NOTICE_SECONDS, 1)) == [(OPEN, "")]


def test_maintenance_that_was_found_by_asking_is_over_when_asking_says_so() -> None:
    openness = Openness()
    assert told(openness.answered(state(MAINTENANCE), 0.0)) == [(MAINTENANCE, "")]
    assert told(openness.answered(state(OPEN), 5.0)) == [(OPEN, "")]


def test_indices_are_locked_and_unlocked_one_by_one_or_by_an_answer_that_names_the_rest() -> None:
    openness = Openness()
    assert told(openness.heard(state(PARTIAL, "a"), 0.0)) == [(PARTIAL, "a")]
    assert told(openness.answered(state(PARTIAL, "a,b"), 1.0)) == [(PARTIAL, "b")]
    assert told(openness.heard(state(OPEN, "b"), 2.0)) == [(OPEN, "b")]
    assert openness.status is PARTIAL
    assert told(openness.answered(state(OPEN), 3.0)) == [(OPEN, "a")]


def test_data_do_not_unlock_trading() -> None:
    openness = Openness()
    openness.heard(state(LOCKED), 0.0)
    assert openness.delivers(1.0, 1) == []
    assert openness.flows(2 * NOTICE_SECONDS, 1) == []
    assert told(openness.answered(state(OPEN), 3.0)) == [(OPEN, "")]


def test_a_shutdown_ends_with_its_successor() -> None:
    openness = Openness()
    assert told(openness.heard(state(SHUTDOWN), 0.0)) == [(SHUTDOWN, "")]
    assert openness.answered(state(OPEN), 0.5) == []
    assert told(openness.delivers(1.0, 1)) == [(OPEN, "")]


def test_a_refusal_is_maintenance_only_where_asking_does_not_contradict_it() -> None:
    contradicted, silent, flowing = Openness(), Openness(), Openness()
    for openness in (contradicted, silent, flowing):
        openness.suspect("host answered HTTP 503")
        assert openness.asking
    assert contradicted.answered(state(OPEN), 0.0) == []
    assert not contradicted.asking
    (entry,) = silent.unanswered(0.0, 1)
    assert (entry.status, entry.reason) == (MAINTENANCE, "host answered HTTP 503")
    assert told(silent.answered(state(OPEN), 5.0)) == [(OPEN, "")]
    flowing.flows(0.0, 1)
    assert flowing.unanswered(1.0, 1) == []
    assert Openness().unanswered(0.0, 1) == []  # a network of ours that is down is no maintenance


@pytest.mark.parametrize("asked", [False, True])
def test_the_announced_occasion_stands_in_the_reason(asked: bool) -> None:
    openness = Openness(lambda time: "release" if time == 1 else "")
    enter: Callable[[ExchangeState, float], list[ExchangeState]] = (
        openness.answered if asked else openness.heard
    )
    (entry,) = enter(state(MAINTENANCE, reason="11051"), 0.0)
    assert entry.reason == "11051 (release)"


def test_a_notice_that_asking_has_confirmed_is_over_when_asking_says_so() -> None:
    openness = Openness()
    openness.heard(state(MAINTENANCE), 0.0)
    assert openness.answered(state(MAINTENANCE), 6.0) == []
    assert told(openness.answered(state(OPEN), 11.0)) == [(OPEN, "")]
