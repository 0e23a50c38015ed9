from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from streamers.rotation import Rotation


@given(st.floats(1, 90_000), st.floats(0.9, 1.0))
def test_a_connection_is_replaced_before_it_is_too_old(age: float, spread: float) -> None:
    rotation = Rotation(age, lambda: spread)
    rotation.begin(100.0)
    assert not rotation.due(100.0 + 0.89 * age)
    assert rotation.due(100.0 + age + 1e-6)
    assert 0 < rotation.seconds(100.0) <= age + 1e-6


def test_one_without_an_age_is_replaced_on_a_wish_only_and_at_once() -> None:
    rotation = Rotation(None)
    rotation.begin(0.0)
    assert math.isinf(rotation.seconds(1e9))
    rotation.wish()
    assert rotation.due(0.0)
    assert rotation.seconds(0.0) == 0


def test_what_failed_is_tried_again_soon_then_less_soon_and_anew_with_the_next_connection() -> None:
    rotation, now = Rotation(1000.0), 0.0
    rotation.begin(now)
    rotation.wish()
    pauses = []
    for _ in range(4):
        rotation.obey()
        rotation.failed(now)
        assert not rotation.due(now)
        pauses.append(rotation.seconds(now))
        now += pauses[-1] + 1e-6
        assert rotation.due(now)
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    rotation.begin(now)
    rotation.failed(now)
    assert rotation.seconds(now) < 1


def test_a_wish_that_comes_while_a_successor_is_made_is_obeyed_by_the_next() -> None:
    rotation = Rotation(None)
    rotation.begin(0.0)
    rotation.wish()
    rotation.obey()
    rotation.wish()  # the successor was made with what held before
    rotation.begin(1.0)
    assert rotation.due(1.0)
    rotation.obey()
    assert not rotation.due(1.0)
