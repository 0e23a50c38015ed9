from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.market_clock import MarketClock

clocks = st.builds(
    MarketClock,
    st.integers(0, 2**52),
    st.floats(0, 1e9, allow_nan=False),
    st.floats(0.001, 1000, allow_nan=False),
)


def test_twenty_times_the_pace() -> None:
    clock = MarketClock(origin=1_000_000, anchor=50.0, speed=20.0)
    assert clock.at(50.0) == 1_000_000
    assert clock.at(51.5) == 31_000_000
    assert clock.until(41_000_000, 51.5) == 0.5
    assert clock.until(1_000_000, 51.5) == -1.5


@given(clocks)
def test_text_round_trip_is_exact(clock: MarketClock) -> None:
    assert MarketClock.from_text(clock.to_text()) == clock


@given(clocks, st.floats(0, 1e6), st.floats(0, 1e6))
def test_time_never_runs_backwards(clock: MarketClock, a: float, b: float) -> None:
    earlier, later = sorted((clock.anchor + a, clock.anchor + b))
    assert clock.at(earlier) <= clock.at(later)


@pytest.mark.parametrize("text", ["", "1/2", "1/2/3/4", "x/2/3", "1/2/0", "1/2/-1", "1/2/nan"])
def test_what_is_no_clock_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        MarketClock.from_text(text)
