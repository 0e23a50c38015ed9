"""A subscription is live when its first data came; silence is measured from there."""

from __future__ import annotations

import pytest

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.liveness import Subscription, overdue


def subscription(deadline_seconds: float | None = 10.0, name: str = "btcusdt@trade") -> Subscription:
    return Subscription(name=name, wanted=Wanted("BTCUSDT", Channel.TRADE), deadline_seconds=deadline_seconds)


def test_before_the_request_nothing_is_due() -> None:
    one = subscription()
    assert not one.overdue(1e9)
    assert one.age(1e9) is None
    assert not one.live


def test_the_first_data_is_due_from_the_request_on() -> None:
    one = subscription()
    one.requested(100.0)
    assert one.requested_at == 100.0
    assert not one.overdue(110.0)
    assert one.overdue(110.1)


def test_an_acknowledgement_is_no_data() -> None:
    one = subscription()
    one.requested(0.0)
    one.acknowledged = True
    assert not one.overdue(1.0)
    assert (one.live, one.acknowledged_at) == (False, 1.0)
    assert not one.overdue(11.0)
    assert one.overdue(11.1)
    one.messages += 1
    assert one.live


def test_without_a_deadline_an_acknowledgement_is_enough_and_silence_never_too_long() -> None:
    one = subscription(None)
    one.requested(0.0)
    assert not one.live
    one.acknowledged = True
    assert one.live
    assert not one.overdue(1e9)


def test_silence_begins_anew_with_each_message_as_noticed() -> None:
    one = subscription()
    one.requested(0.0)
    one.messages += 1
    assert not one.overdue(20.0), "the message came some time before"
    assert one.age(25.0) == 5.0
    assert not one.overdue(30.0)
    assert one.overdue(30.1)
    one.messages += 5
    assert not one.overdue(30.2)


def test_a_probe_excuses_silence_until_the_deadline_has_passed_again() -> None:
    one = subscription()
    one.requested(0.0)
    assert one.overdue(11.0)
    one.excuse(11.0)
    assert one.quiet
    assert one.live
    assert not one.overdue(21.0)
    assert one.overdue(21.5)
    one.messages += 1
    assert not one.overdue(22.0)
    assert not one.quiet


def speak(one: Subscription, since: float, gap: float, times: int) -> float:
    """So many messages, each noticed at once; the time of the last."""
    for number in range(1, times + 1):
        one.messages += 1
        one.note(since + gap * number)
    return since + gap * times


def acknowledged(deadline_seconds: float | None, patience_seconds: float | None = None) -> Subscription:
    one = subscription(deadline_seconds)
    one.patience_seconds, one.acknowledged = patience_seconds, True
    one.requested(0.0)
    one.note(0.0)
    return one


def test_what_never_delivered_is_doubted_soon_after_the_acknowledgement() -> None:
    one = subscription(30.0)
    one.requested(0.0)
    one.acknowledged = True
    assert not one.doubtful(3.0)
    assert not one.doubtful(6.0)
    assert one.doubtful(6.1)


def test_it_is_doubted_by_its_own_rhythm_between_the_soonest_and_the_longest() -> None:
    for gap, limit in ((0.25, 4.0), (1.0, 4.0), (2.0, 8.0), (5.0, 20.0), (20.0, 30.0)):
        one = acknowledged(30.0)
        last = speak(one, 0.0, gap, 40)
        assert one.mean_gap == pytest.approx(gap)
        assert one.doubt_seconds == pytest.approx(limit)
        assert not one.doubtful(last + limit)
        assert one.doubtful(last + limit + 0.1)


def test_a_new_rhythm_is_learnt_within_some_messages() -> None:
    one = acknowledged(600.0)
    last = speak(one, 0.0, 30.0, 20)
    speak(one, last, 0.25, 50)
    assert one.doubt_seconds is not None
    assert one.doubt_seconds < 8.0


def test_after_a_single_message_a_rhythm_is_presumed() -> None:
    busy, thin = acknowledged(30.0), acknowledged(None, 600.0)
    speak(busy, 0.0, 1.0, 1)
    speak(thin, 0.0, 1.0, 1)
    assert (busy.doubt_seconds, thin.doubt_seconds) == (8.0, 600.0)
    speak(thin, 1.0, 1.0, 20)
    assert thin.doubt_seconds == 4.0


def test_where_nothing_is_demanded_patience_alone_counts_and_without_any_there_is_no_doubt() -> None:
    thin, careless = acknowledged(None, 600.0), acknowledged(None)
    assert not thin.doubtful(600.0)
    assert thin.doubtful(600.1)
    assert thin.live
    assert not careless.doubtful(1e9)


def test_each_excuse_doubles_the_time_to_the_next_doubt() -> None:
    one = acknowledged(30.0)
    last = speak(one, 0.0, 0.5, 40)
    doubts, now = [], last
    while now < last + 120.0:
        now += 0.25
        if one.doubtful(now):
            doubts.append(now - last)
            one.excuse(now)
    assert doubts == [4.25, 8.75, 17.75, 35.75, 66.0, 96.25]
    assert one.silent_seconds(now) == now - last
    assert one.age(now) is not None
    assert one.age(now) < 30.0  # type: ignore[operator]


def test_all_are_noted_though_only_the_silent_are_named() -> None:
    silent, talking = subscription(), subscription(name="other")
    for one in (silent, talking):
        one.requested(0.0)
    talking.messages += 1
    assert list(overdue([silent, talking], 11.0)) == [silent]
    assert talking.age(11.0) == 0.0


def test_the_silent_are_found_in_a_collection_that_changes_meanwhile() -> None:
    held = {number: subscription(name=str(number)) for number in range(3)}
    for one in held.values():
        one.requested(0.0)
    for number, _ in enumerate(overdue(held.values(), 11.0)):
        held.pop(number)
    assert not held
