"""A subscription is live when its first data came; silence is measured from there."""

from __future__ import annotations

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
    assert not one.live
    assert one.overdue(11.0)
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
