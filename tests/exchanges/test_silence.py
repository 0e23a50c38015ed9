"""When a silence ends a connection, when it does not, and how soon; on a market whose truth is known."""

from __future__ import annotations

from itertools import accumulate, count, pairwise, takewhile
from operator import ne
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.exchanges.silences import TICK, Bench, Line, look
from trade_platform.exchanges.evidence import Watch
from trade_platform.exchanges.session import Reason

WITHIN = 15.0
"""What is promised of a busy channel."""


def poisson(rate: float, until: float, seed: int = 1, since: float = 0.0) -> list[float]:
    random = Random(seed)
    gaps = (random.expovariate(rate) for _ in count())
    return list(takewhile(lambda at: at < until, accumulate(gaps, initial=since)))[1:]


def beat(gap: float, until: float) -> list[float]:
    return [gap * n for n in range(1, int(until / gap))]


QUIET = Line(events=[-5.0])  # something was traded once, long before


@pytest.mark.parametrize("answer_seconds", [0.1, 1.0, 2.0])
@pytest.mark.parametrize("rate", [0.5, 1.0, 5.0, 100.0])
def test_a_busy_channel_that_falls_silent_is_given_up_in_time(rate: float, answer_seconds: float) -> None:
    cut = 60.0
    bench = Bench({"a": Line(events=beat(1 / rate, 120.0), cut_at=cut)}, answer_seconds=answer_seconds)
    end = bench.run(120.0)
    assert end is not None
    assert end.reason is Reason.CHANNEL_SILENT
    assert end.detail.startswith("a: nothing for ")
    assert bench.now - cut <= WITHIN


@given(
    seed=st.integers(0, 2**32),
    rate=st.floats(1.0, 100.0),
    cut=st.floats(30.0, 90.0),
    answer_seconds=st.floats(0.0, 2.0),
)
@example(seed=154410, rate=1.0, cut=30.0, answer_seconds=0.0)  # nothing is traded for 6 s meanwhile
@settings(max_examples=60)
def test_at_whatever_moment_a_busy_channel_falls_silent(
    seed: int, rate: float, cut: float, answer_seconds: float
) -> None:
    line = Line(events=poisson(rate, 150.0, seed), cut_at=cut)
    bench = Bench({"a": line}, answer_seconds=answer_seconds)
    assert bench.run(150.0) is not None
    begun = next(at for at in line.events if at >= cut)
    assert begun < bench.now <= begun + WITHIN


@pytest.mark.parametrize("answer_seconds", [0.1, 1.0, 2.0])
def test_a_busy_channel_that_was_acknowledged_and_never_delivers(answer_seconds: float) -> None:
    bench = Bench({"a": Line(events=beat(0.9, 60.0), cut_at=0.0)}, answer_seconds=answer_seconds)
    end = bench.run(60.0)
    assert end is not None
    assert (end.reason, bench.now <= WITHIN) == (Reason.NEVER_DELIVERED, True)
    assert len(bench.asked) == 2


@given(
    gaps=st.lists(st.floats(0.01, 40.0), min_size=1, max_size=120),
    lag=st.floats(0.0, 2.0),
    answer_seconds=st.floats(0.0, 9.0),
    deadline=st.sampled_from([10.0, 30.0, 60.0]),
)
@example(gaps=[40.0] * 20, lag=2.0, answer_seconds=0.0, deadline=10.0)
@settings(max_examples=150)
def test_no_rhythm_of_a_market_ends_a_connection_that_tells_it(
    gaps: list[float], lag: float, answer_seconds: float, deadline: float
) -> None:
    events = list(accumulate(gaps))
    bench = Bench({"a": Line(events=events, lag=lag, deadline=deadline)}, answer_seconds=answer_seconds)
    assert bench.run(min(events[-1], 400.0) + 60.0) is None


def test_one_silent_channel_of_many_is_found_among_the_living_and_the_quiet() -> None:
    lines = {f"busy{n}": Line(events=poisson(2.0, 150.0, n)) for n in range(40)}
    lines |= {f"thin{n}": Line(events=poisson(0.02, 150.0, n)) for n in range(150)}
    lines |= {"hung": Line(events=poisson(2.0, 150.0, 999), cut_at=90.0)}
    bench = Bench(lines)
    end = bench.run(150.0)
    assert end is not None
    assert end.detail.startswith("hung: ")
    assert bench.now - 90.0 <= WITHIN


def test_of_a_wholly_silent_connection_the_busiest_are_asked_about_first() -> None:
    """Nothing else is traded any more, so that asking about anything else would prove nothing."""
    lines = {f"thin{n}": Line(events=poisson(0.05, 115.0, n), cut_at=120.0) for n in range(200)}
    lines |= {"busy": Line(events=poisson(20.0, 200.0, 7), cut_at=120.0)}
    bench = Bench(lines)
    assert bench.run(200.0) is not None
    assert bench.now - 120.0 <= WITHIN
    assert next(at for at, name, _ in bench.asked if name == "busy") <= 125.0
    assert bench.weight(125.5, 200.0) == 0, "a verdict is near"


@pytest.mark.parametrize("weight", [4, 20])
def test_a_thousand_quiet_channels_cost_a_bounded_weight_and_no_connection(weight: int) -> None:
    bench = Bench({f"q{n}": Line(events=[-5.0], watch=Watch(look(weight))) for n in range(1000)})
    assert bench.run(240.0) is None
    for minute in range(4):
        assert bench.weight(60.0 * minute, 60.0 * minute + 60.0) <= 5 * 60 + 60
    assert bench.weight(0.0, 240.0) > 5 * 200, "what the share allows is used"


def test_no_thin_channel_waits_for_ever_behind_busier_ones() -> None:
    lines = {
        f"busy{n}": Line(events=[n / 12 + at for at in beat(5.0, 500.0)], deadline=4.0) for n in range(60)
    }
    lines |= {"thin": Line(events=[-5.0], deadline=None, patience=100.0)}
    bench = Bench(lines, weight_per_second=1.0, burst=10.0)
    assert bench.run(400.0) is None
    asked = [name for _, name, _ in bench.asked]
    assert asked.count("thin") >= 2
    assert bench.held["thin"].quiet


def test_among_those_that_never_delivered_the_most_traded_are_asked_about_first() -> None:
    lines = {f"a{n}": Line(events=[-5.0]) for n in range(100)}
    lines |= {"great": Line(events=beat(0.5, 60.0), cut_at=0.0)}
    bench = Bench(lines, weight_per_second=1.0)
    bench.witness.sizes = {"great": 10**9}
    end = bench.run(60.0)
    assert end is not None
    assert end.detail.startswith("great: ")
    assert bench.now <= WITHIN


def test_the_quiet_are_asked_about_less_and_less() -> None:
    bench = Bench({"a": Line(events=[-5.0], deadline=60.0)})
    assert bench.run(600.0) is None
    times = [at for at, _, _ in bench.asked]
    assert times[0] == pytest.approx(3.0, abs=2 * TICK)
    assert len(times) <= 13
    assert bench.held["a"].live


def test_where_nothing_is_demanded_the_first_question_has_time() -> None:
    bench = Bench({"a": Line(events=[-5.0], deadline=None, patience=100.0)})
    assert bench.run(99.0) is None
    assert bench.asked == []
    assert bench.run(102.0) is None
    assert len(bench.asked) == 1


def test_what_is_busy_though_nothing_is_demanded_is_found_as_soon() -> None:
    line = Line(events=beat(0.5, 300.0), cut_at=120.0, deadline=None, patience=600.0)
    bench = Bench({"a": line})
    assert bench.run(300.0) is not None
    assert bench.now - 120.0 <= WITHIN


def test_the_last_message_on_its_way_clears_the_doubt() -> None:
    events = [*beat(0.5, 20.0), 24.2]
    bench = Bench({"a": Line(events=events, lag=2.5)})
    assert bench.run(60.0) is None
    assert bench.asked


def test_whoever_slept_judges_nothing_before_what_waits_is_read() -> None:
    """The process stood still; what came meanwhile lies in the socket, and is read after the tick."""
    line = Line(events=beat(0.5, 200.0), watch=Watch(look(), steady_seconds=10.0))
    bench = Bench({"a": line})
    assert bench.run(50.0) is None
    bench.now += 60.0
    assert bench.silence.judge(bench.held, 0, bench.now) == []
    assert bench.run(180.0) is None


def test_a_process_that_is_always_slow_judges_all_the_same() -> None:
    bench = Bench({"a": Line(events=beat(0.5, 200.0), cut_at=50.0, watch=Watch(look(), steady_seconds=10.0))})
    assert bench.run(50.0) is None
    ends = [bench.silence.judge(bench.held, 0, 50.0 + 3.0 * n) for n in range(1, 7)]
    assert [bool(one) for one in ends].count(True) >= 1


def test_marks_that_can_only_differ_are_compared_twice() -> None:
    """REST was behind the socket: what it showed at first was older, not newer."""
    bench = Bench({"a": Line(events=beat(0.5, 20.0), watch=Watch(look(moved=ne)))})
    assert bench.run(20.0) is None
    bench.witness.told["a"] += 1  # the socket told one more than REST knows of
    bench.held["a"].messages += 1
    assert bench.run(25.0) is None
    assert len(bench.asked) == 1
    bench.lines["a"].events.append(20.1)  # type: ignore[union-attr, attr-defined]
    assert bench.run(60.0) is None


def test_marks_that_can_only_differ_and_stay_different_end_the_connection() -> None:
    line = Line(events=beat(0.5, 100.0), cut_at=60.0, watch=Watch(look(moved=ne)))
    bench = Bench({"a": line}, answer_seconds=2.0)
    assert bench.run(100.0) is not None
    assert bench.now - 60.0 <= WITHIN


def test_questions_that_fail_prove_nothing_while_others_deliver() -> None:
    lines = {
        "hung": Line(events=beat(0.5, 300.0), cut_at=60.0),
        "b": Line(events=beat(0.5, 300.0)),
    }
    bench = Bench(lines)
    bench.answer_seconds = None
    assert bench.run(300.0) is None
    times = [at for at, name, _ in bench.asked if name == "hung"]
    assert all(later - earlier >= 5.0 for earlier, later in pairwise(times))
    bench.answer_seconds = 0.2
    assert bench.run(320.0) is not None, "the first that is answered does"


def test_a_busy_connection_without_one_message_goes_though_rest_does_not_answer() -> None:
    bench = Bench({"a": Line(events=beat(0.5, 300.0), cut_at=60.0)})
    bench.answer_seconds = None
    end = bench.run(300.0)
    assert end is not None
    assert end.reason is Reason.SESSION_SILENT
    assert bench.now <= 60.0 + 30.0


def test_a_connection_that_never_spoke_goes_though_rest_does_not_answer() -> None:
    bench = Bench({"a": QUIET})
    bench.answer_seconds = None
    end = bench.run(300.0)
    assert end is not None
    assert (end.reason, 90.0 <= bench.now <= 97.0) == (Reason.SESSION_SILENT, True)


def test_an_answer_that_never_comes_is_a_question_that_failed() -> None:
    bench = Bench({"a": QUIET, "b": Line(events=beat(1.0, 100.0))}, answer_seconds=1e9)
    assert bench.run(60.0) is None
    times = [at for at, _, _ in bench.asked]
    assert [later - earlier > 14.0 for earlier, later in pairwise(times)] == [True] * 3


STEADY = Watch(look(), steady_seconds=10.0)


@pytest.mark.parametrize(("cut", "reason"), [(0.0, Reason.NEVER_DELIVERED), (40.0, Reason.CHANNEL_SILENT)])
def test_without_any_of_the_steady_channels_no_answer_is_needed(cut: float, reason: Reason) -> None:
    lines = {name: Line(events=beat(1.0, 100.0), cut_at=cut, watch=STEADY) for name in ("a", "b")}
    bench = Bench(lines)
    bench.answer_seconds = None
    end = bench.run(100.0)
    assert end is not None
    assert end.reason is reason
    assert bench.now - cut <= 12.0


def test_one_steady_channel_alone_is_asked_about() -> None:
    lines = {
        "ended": Line(events=beat(1.0, 40.0), watch=STEADY),
        "b": Line(events=beat(1.0, 300.0), watch=STEADY),
    }
    bench = Bench(lines)
    assert bench.run(300.0) is None
    assert bench.held["ended"].quiet


def test_a_channel_without_a_question_goes_by_its_deadline_once_it_delivered() -> None:
    assert Bench({"a": Line(watch=Watch())}).run(200.0) is None, "it may not exist"
    bench = Bench({"a": Line(events=beat(1.0, 40.0), watch=Watch())})
    assert bench.run(200.0) is not None
    assert bench.now == pytest.approx(39.0 + 30.0, abs=1.0)


def test_what_is_gone_is_asked_about_no_more() -> None:
    bench = Bench({"a": QUIET, "b": Line(events=beat(1.0, 200.0))})
    bench.run(3.25)
    bench.now += TICK
    (rest,) = bench.silence.judge(bench.held, 0, bench.now)
    rest.failed("gone")  # type: ignore[union-attr]
    assert bench.run(200.0) is None
    assert bench.witness.ended == ["a"]
    assert bench.asked == []


def test_a_case_ends_with_its_subscription() -> None:
    bench = Bench({"a": Line(events=beat(0.5, 100.0), cut_at=20.0)})
    assert bench.run(26.0) is None
    assert bench.asked, "the market is known to have moved"
    bench.silence.forget("a")
    assert bench.run(28.5) is None
