from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamers.skew import WINDOW_SECONDS, ClockSkew

SECOND = 1_000_000


@given(st.floats(-40, 40), st.lists(st.floats(0, 20), min_size=1))
def test_what_is_late_never_looks_like_a_clock_that_is_ahead(offset: float, delays: list[float]) -> None:
    skew = ClockSkew()
    for number, delay in enumerate([*delays, 0.0]):
        skew.note(int((100 + offset) * SECOND), int((100 + delay) * SECOND), number / len(delays))
    assert skew.seconds is not None
    assert abs(skew.seconds - offset) < 0.001


def test_a_clock_that_is_set_right_is_forgotten_after_a_window() -> None:
    skew = ClockSkew()
    assert skew.seconds is None
    skew.note(130 * SECOND, 100 * SECOND, 0.0)
    assert skew.notable
    for turn in (1, 2):
        skew.note(100 * SECOND, 100 * SECOND, turn * WINDOW_SECONDS)
    assert skew.seconds == 0
    assert not skew.notable
