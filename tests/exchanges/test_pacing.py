"""A burst at first, a trickle afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.exchanges.pacing import Pace


def test_a_burst_is_spent_at_once_and_refills_evenly() -> None:
    pace = Pace(weight_per_second=5.0, burst=60.0)
    assert [pace.take(20, 100.0) for _ in range(4)] == [True, True, True, False]
    assert not pace.allows(4, 100.7)
    assert pace.take(4, 101.0)
    assert not pace.take(4, 101.5)
    assert pace.take(60, 200.0)
    assert not pace.take(1, 200.0)


def test_what_costs_more_than_the_burst_is_allowed_when_it_is_full_and_paid_back() -> None:
    pace = Pace(weight_per_second=5.0, burst=10.0)
    assert pace.take(20, 0.0)
    assert not pace.take(1, 2.0)
    assert pace.take(1, 2.25)


def test_a_part_may_be_kept_for_what_is_more_urgent() -> None:
    pace = Pace(weight_per_second=5.0, burst=60.0)
    assert [pace.take(20, 0.0, keep=1 / 3) for _ in range(3)] == [True, True, False]
    assert pace.take(20, 0.0)
    assert not pace.take(20, 4.0, keep=1 / 3)
    assert pace.take(20, 4.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 25)), max_size=200))
def test_it_never_spends_more_than_its_share(steps: list[tuple[float, int]]) -> None:
    pace = Pace(weight_per_second=5.0, burst=60.0)
    now, spent = 0.0, 0
    for gap, weight in steps:
        now += gap
        spent += weight if pace.take(weight, now) else 0
        assert spent <= 60.0 + 5.0 * now + 1e-6


def test_a_clock_that_steps_back_gives_nothing() -> None:
    pace = Pace(weight_per_second=5.0, burst=60.0)
    assert pace.take(60, 100.0)
    assert not pace.take(1, 50.0)
    assert pace.allows(1, 50.25)
