from trade_platform.domain.model import MICROSECONDS
from trade_platform.operations.up import replay_clock, simulated_clock

NOW = 1_700_000_000 * MICROSECONDS


def test_a_simulated_market_begins_now_and_runs_at_its_speed() -> None:
    clock = simulated_clock(5.0, NOW, 100.0, None)
    assert clock.at(100.0) == NOW
    assert clock.at(112.0) == NOW + 60 * MICROSECONDS


def test_a_simulated_market_never_goes_back_before_what_it_has_already_printed() -> None:
    printed = NOW + 3600 * MICROSECONDS
    assert simulated_clock(1.0, NOW, 100.0, printed).at(100.0) == printed
    assert simulated_clock(1.0, NOW, 100.0, NOW - 1).at(100.0) == NOW


def test_a_replay_reaches_its_first_frame_after_the_lead() -> None:
    clock = replay_clock(NOW, 20.0, 50.0, lead_seconds=8.0)
    assert clock.at(58.0) == NOW
    assert clock.at(59.0) == NOW + 20 * MICROSECONDS
