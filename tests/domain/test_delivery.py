from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.delivery import (
    ENOUGH_TRADES,
    LEAST_LATE,
    LEAST_PATIENCE,
    MOST_PATIENCE,
    Delivery,
    is_late,
    judge_delivery,
    patience,
)
from trade_platform.domain.model import ExchangeStatus

OPEN, MAINTENANCE = ExchangeStatus.OPEN, ExchangeStatus.MAINTENANCE


def test_patience_is_learnt_from_the_pauses_between_arrivals() -> None:
    assert patience([100.0 - n for n in range(32)]) == 20.0
    assert patience([100.0 - n / 100 for n in range(32)]) == LEAST_PATIENCE
    assert patience([100.0 - 60 * n for n in range(32)]) == MOST_PATIENCE
    assert patience([5.0]) == MOST_PATIENCE


@given(st.lists(st.floats(0, 1e9), max_size=40))
def test_patience_has_bounds_and_no_order(arrivals: list[float]) -> None:
    assert LEAST_PATIENCE <= patience(arrivals) <= MOST_PATIENCE
    assert patience(arrivals) == patience(sorted(arrivals))


def test_what_comes_in_time_is_delivering_whatever_is_said() -> None:
    assert judge_delivery(14.0, 15.0, MAINTENANCE, alive=False) is Delivery.DELIVERING


def test_a_silence_has_the_cause_that_is_known() -> None:
    assert judge_delivery(16.0, 15.0, OPEN, alive=None) is Delivery.SILENT
    assert judge_delivery(16.0, 15.0, OPEN, alive=True) is Delivery.SILENT
    assert judge_delivery(16.0, 15.0, OPEN, alive=False) is Delivery.STOPPED
    assert judge_delivery(16.0, 15.0, MAINTENANCE, alive=False) is Delivery.CLOSED
    assert judge_delivery(None, 15.0, OPEN, alive=True) is Delivery.SILENT


def test_an_instrument_is_late_by_its_own_rhythm() -> None:
    busy = {"trades": 100_001, "span_seconds": 100_000.0}
    assert is_late(LEAST_LATE + 1, **busy)
    assert not is_late(LEAST_LATE - 1, **busy)
    slow = {"trades": 101, "span_seconds": 10_000.0}
    assert not is_late(2_999.0, **slow)
    assert is_late(3_001.0, **slow)


def test_a_few_trades_are_no_rhythm() -> None:
    assert not is_late(1e9, ENOUGH_TRADES - 1, 1.0)
