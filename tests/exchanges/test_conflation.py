"""Of each interval the last, and only that."""

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.exchanges.conflation import Latest

SECOND = 1_000_000


@given(
    steps=st.lists(st.integers(min_value=0, max_value=3 * SECOND), max_size=60),
    interval=st.integers(min_value=1, max_value=2 * SECOND),
)
def test_whatever_comes_each_interval_gives_its_last(steps: list[int], interval: int) -> None:
    latest = Latest(interval, lambda message, receive_time: ((message, receive_time),))  # type: ignore[arg-type]
    market_time, offered, out = 0, [], []
    for number, gap in enumerate(steps):
        market_time += gap
        offered.append((number, market_time))
        out += latest.offer(number, market_time)
    out += latest.flush(market_time + interval, 0.0)
    expected = {market_time // interval: (number, market_time) for number, market_time in offered}
    assert out == list(expected.values())
