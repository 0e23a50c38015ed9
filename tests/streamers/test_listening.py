from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamers.listening import STALL_SECONDS, Listening


@given(st.lists(st.tuples(st.floats(0, STALL_SECONDS), st.booleans()), max_size=60))
def test_the_session_s_time_runs_only_while_we_listen(ticks: list[tuple[float, bool]]) -> None:
    listening, now, heard = Listening(100.0), 100.0, 100.0
    for pause, listens in ticks:
        now += pause
        heard += pause if listens else 0.0
        assert abs(listening.tick(now, listening=listens) - heard) < 1e-6
        assert abs(listening.time(now + 1) - listening.time(now) - 1) < 1e-6


def test_a_process_that_stood_still_has_not_listened() -> None:
    listening = Listening(0.0)
    assert listening.tick(60.0, listening=True) == 0.0
    assert listening.tick(60.25, listening=True) == 0.25
