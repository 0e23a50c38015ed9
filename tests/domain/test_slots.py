import pytest

from trade_platform.domain.slots import lane_of, other_slot


@pytest.mark.parametrize("lane", ["streamer-deribit", "processor-market-binance_spot"])
def test_a_lane_has_two_slots_and_the_first_bears_its_name(lane: str) -> None:
    second = other_slot(lane)
    assert second == f"{lane}-b"
    assert other_slot(second) == lane
    assert lane_of(lane) == lane_of(second) == lane
