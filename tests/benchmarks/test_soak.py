"""The line through the samples, what is said of it, and who is named."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.growth import Sample, Slope, after_warm_up, fails, fullest, growing, slope, verdict
from benchmarks.procfs import Memory
from benchmarks.soak import COLUMNS, History, Line, _arguments, cells, line_of, mean, note, warm_up_of


def samples(slope_per_hour: float, noise: float = 0.0, count: int = 60) -> list[Sample]:
    dice = random.Random(1)
    return [
        Sample(5.0 * place, 50 + slope_per_hour * 5.0 * place / 3600 + dice.gauss(0, noise), 60.0)
        for place in range(count)
    ]


@given(st.floats(-100, 100))
def test_a_straight_line_is_found_as_it_is(value: float) -> None:
    found = slope(samples(value))
    assert found is not None
    assert found.value == pytest.approx(value, abs=1e-6)
    assert found.uncertainty == pytest.approx(0, abs=1e-3)


def test_noise_is_uncertainty_and_the_truth_lies_within() -> None:
    found = slope(samples(3.0, noise=0.05))
    assert found is not None
    assert 0 < found.uncertainty < 5
    assert abs(found.value - 3.0) < 2 * found.uncertainty


def test_a_staircase_is_less_certain_than_noise_of_the_same_size() -> None:
    """Neighbours that resemble each other say less."""
    stairs = [Sample(5.0 * place, 50.0 + (place // 20) % 2, 60.0) for place in range(60)]
    mixed = [Sample(5.0 * place, 50.0 + place % 2, 60.0) for place in range(60)]
    first, second = slope(stairs), slope(mixed)
    assert first is not None
    assert second is not None
    assert first.uncertainty > 2 * second.uncertainty


def test_two_samples_are_no_line() -> None:
    assert slope(samples(1.0, count=2)) is None
    assert verdict(None, 30) == "too few samples"
    assert fails(None, 30)


@pytest.mark.parametrize(
    ("found", "minutes", "said", "failed"),
    [
        (Slope(0.9, 0.1), 30, "holds", False),
        (Slope(-5.0, 0.1), 30, "holds", False),
        (Slope(1.1, 0.01), 30, "above", True),
        (Slope(1.1, 0.5), 60, "above, perhaps by chance", True),
        (Slope(90.0, 0.1), 5, "5 min are too short to judge", False),
    ],
)
def test_only_a_run_that_is_long_enough_is_judged(
    found: Slope, minutes: float, said: str, failed: bool
) -> None:
    assert verdict(found, minutes) == said
    assert fails(found, minutes) is failed


def test_the_structure_that_grew_is_named_first_with_its_bound() -> None:
    early = {
        "structure_entries{tape}": 100.0,
        "structure_entries{book}": 10.0,
        "lag_seconds": 3.0,
        "same": 1.0,
    }
    late = {
        "structure_entries{tape}": 150.0,
        "structure_entries{book}": 11.0,
        "structure_high_water{tape}": 160.0,
        "structure_bound{tape}": 1000.0,
        "lag_seconds": 9.0,
        "same": 1.0,
        "threads": 7.5,
    }
    assert growing(early, late) == [
        "tape 100 → 150 (at most 1,000)",
        "book 10 → 11 (at most 0)",
        "threads 0 → 7.50",
    ]
    assert growing(late, late) == []


def test_the_fullest_structures_are_shown() -> None:
    marks = {f"structure_high_water{{{name}}}": size for name, size in (("a", 5.0), ("b", 90.0), ("c", 9.0))}
    bounds = {f"structure_bound{{{name}}}": size for name, size in (("a", 10.0), ("b", 100.0), ("c", 1e6))}
    assert fullest({**marks, **bounds}, most=2) == ["b 90/100", "a 5/10"]
    assert fullest({"buffer": 1.0}) == []


def test_warm_up_is_a_share_of_the_run_within_bounds_and_left_out() -> None:
    assert [warm_up_of(minutes * 60) for minutes in (1, 10, 60)] == [60.0, 150.0, 600.0]
    assert [sample.seconds for sample in after_warm_up(samples(0, count=4), 7.0)] == [10.0, 15.0]


def test_a_line_is_made_of_what_came_after_the_warm_up() -> None:
    class Crew:
        at = 0

        def memory(self) -> dict[str, Memory]:
            self.at += 1
            return {"streamer-deribit": Memory(50.0 + self.at, 60.0), "redis": Memory(9.0, 9.0)}

        def gauges(self) -> dict[str, dict[str, float]]:
            return {"streamer-deribit": {"structure_high_water{x}": float(self.at)}}

    histories: dict[str, History] = {}
    crew = Crew()
    for place in range(10):
        note(histories, crew, 10.0 * place)  # type: ignore[arg-type]
    line = line_of("streamer-deribit", histories["streamer-deribit"], 40.0, 30.0)
    assert [sample.seconds for sample in line.samples] == [40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    assert (line.early, line.late) == ({"structure_high_water{x}": 4.5}, {"structure_high_water{x}": 8.5})
    assert line.said == "above"
    assert line.failed
    assert len(cells(line)) == len(COLUMNS)
    assert line.bounded == "x 8.50/0"
    assert not line_of("redis", histories["redis"], 40.0, 30.0).failed


def test_what_is_there_only_at_times_is_averaged_over_those() -> None:
    assert mean([{"a": 1.0}, {"a": 3.0, "b": 4.0}, {}]) == {"a": 2.0, "b": 4.0}


def test_a_run_too_short_to_judge_says_how_long_is_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["soak", "--minutes", "1"])
    with pytest.raises(SystemExit) as ended:
        _arguments()
    assert ended.value.code == 2
    assert "--minutes 1: the warm-up alone takes 60 s; take 2 or more" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["soak", "--minutes", "2"])
    assert _arguments().minutes == 2


def test_equipment_is_shown_and_not_judged() -> None:
    line = Line(name="simulator", samples=samples(100.0), minutes=30.0, early={}, late={})
    assert line.said == "not judged"
    assert not line.failed
