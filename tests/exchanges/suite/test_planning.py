"""Connections: everything once, what is open stays where it is, and no connection carries too much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.suite.registry import ALL, voice_of
from tests.exchanges.suite.voice import Voice
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import ConnectionPlan

choices = st.sets(st.tuples(st.integers(0, 400), st.integers(0, 10)), max_size=120)


def wanted_of(voice: Voice, choice: set[tuple[int, int]]) -> list[Wanted]:
    channels = sorted(voice.exchange.channels)
    stem = voice.symbols[0]
    return [Wanted(f"{stem}{symbol}", channels[at % len(channels)]) for symbol, at in sorted(choice)]


def places(plans: list[ConnectionPlan]) -> dict[Wanted, str]:
    return {one: plan.name for plan in plans for one in plan.wanted}


@given(st.sampled_from(sorted(ALL)), choices, choices)
def test_what_is_subscribed_stays_where_it_is(
    key: str, choice: set[tuple[int, int]], other: set[tuple[int, int]]
) -> None:
    voice = voice_of(key)
    exchange = voice.exchange
    before = exchange.plan(wanted_of(voice, choice))
    after = exchange.plan(wanted_of(voice, choice | other), before)
    for plans in (before, after):
        listed = [one for plan in plans for one in plan.wanted]
        assert len(listed) == len(set(listed)), "nothing twice"
        assert len({plan.name for plan in plans}) == len(plans)
        assert all(plan.wanted for plan in plans)
    new, old = places(after), places(before)
    assert {one: new[one] for one in old if one in new} == {one: old[one] for one in old if one in new}


def test_no_connection_carries_more_than_it_may(voice: Voice) -> None:
    exchange = voice.exchange
    wanted = wanted_of(voice, {(symbol, at) for symbol in range(150) for at in range(len(exchange.channels))})
    plans = exchange.plan(wanted)
    for plan in plans:
        assert len(exchange.session(plan).subscriptions) <= voice.subscriptions_a_connection
    assert len(plans) > 1


def test_what_an_exchange_does_not_have_is_in_no_plan(voice: Voice) -> None:
    assert voice.exchange.plan([]) == []
    (plan,) = voice.exchange.plan(voice.wanted())
    assert plan.path.startswith("/")
    assert [one.symbol for one in plan.wanted] == [voice.symbols[0]]


def test_names_are_fit_for_a_label(voice: Voice) -> None:
    for plan in voice.exchange.plan(voice.wanted(*voice.symbols)):
        assert plan.name.replace("-", "").isalnum()
