"""What the figures of Dagster are taken from; the real one is measured by ``make bench``."""

import os
import subprocess
import sys

import pytest

from benchmarks.figures import verdict
from benchmarks.orchestration import Idle, TrivialRun, _figures, cpu_with_children, ticks_between
from benchmarks.procfs import cpu_seconds
from benchmarks.webserver import Automation, Tick

WORK = "sum(n * n for n in range(3_000_000))"
ROUNDING = 1e-6
"""Ticks of a hundredth of a second, as floats."""


def test_only_the_ticks_of_sensors_that_ended_in_the_while_count() -> None:
    ticks = [
        Tick("SKIPPED", 99.5, 100.5),  # begun before
        Tick("SKIPPED", 101.0, 101.25),
        Tick("SUCCESS", 104.0, 104.5),
        Tick("STARTED", 105.0, None),
        Tick("SKIPPED", 109.9, 110.1),  # ended after
    ]
    automations = [
        Automation("open_gaps", "sensor", "RUNNING", "", ticks),
        Automation("hourly", "schedule", "RUNNING", "", ticks),
    ]
    assert ticks_between(automations, 100.0, 110.0) == [250.0, 500.0]


def test_cpu_of_a_process_counts_what_its_children_took_while_they_run_and_when_they_ended() -> None:
    before = cpu_with_children(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", f"{WORK}; print('done', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
        took = cpu_seconds(child.pid)
        assert took > 0
        assert cpu_with_children(os.getpid()) - before >= took - ROUNDING
        child.communicate(b"\n")
    assert cpu_with_children(os.getpid()) - before >= took - ROUNDING


def test_a_run_costs_what_it_takes_beyond_rest_and_gaps_are_judged_by_their_middle() -> None:
    idle = Idle(60.0, 6.0, 1.2, 24, [5.0, 7.0, 9.0])
    runs = [
        TrivialRun(2.0, 3.0, 3.5, 5.0),
        TrivialRun(4.0, 5.0, 4.0, 5.0),
        TrivialRun(3.0, 9.0, 30.0, 10.0),  # crossed by another run
    ]
    figures = {figure.work: figure for figure in _figures(idle, runs, [12.0, 14.0, 95.0])}
    values = {work: figure.value for work, figure in figures.items()}
    assert values["Dagster: a run that does next to nothing, until its first line"] == 3.0
    assert values["the same, until it has succeeded"] == 5.0
    assert values["the same: CPU"] == pytest.approx(3.5)
    assert values["Dagster: ticks at rest"] == 24
    assert values["the same: CPU in the code server"] == pytest.approx(50.0)
    assert values["Dagster at rest: CPU"] == pytest.approx(10.0)
    repaired = figures["gap: open → its repair has ended, middle"]
    assert (repaired.value, verdict(repaired, quick=False)) == (14.0, "reached")
    assert values["the same, longest"] == 95.0
