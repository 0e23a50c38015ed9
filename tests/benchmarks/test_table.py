"""How a figure looks in the table."""

from benchmarks.figures import Figure, at_most
from benchmarks.procfs import Cores, cpu_seconds, memory_of, usable_cores
from benchmarks.table import markdown, row_of

FIGURE = Figure(
    work="streamer", value=4.4, unit="µs/message", how="a burst", limit=2.2, limit_is="bare client",
    reach=at_most(12), gate=at_most(4),
)  # fmt: skip


def test_a_full_run_shows_the_reach_and_a_quick_one_the_gate() -> None:
    full, quick = (row_of(FIGURE, quick=quick) for quick in (False, True))
    assert full == (
        *("streamer", "4.40", "µs/message", "2.20 (bare client)", "2.00 ×", "≤ 12.0: reached", "a burst"),
    )
    assert quick[5] == "≤ 4.00 × limit: good"


def test_a_void_figure_says_so() -> None:
    row = row_of(Figure(work="w", value=None, unit="µs", how="h", reach=at_most(1)), quick=False)
    assert (row[1], row[5]) == ("void", "≤ 1.00: void")


def test_markdown_is_a_table() -> None:
    lines = markdown([FIGURE], quick=False).splitlines()
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {8}


def test_the_kernel_is_asked_about_a_process_that_exists(pytestconfig: object) -> None:
    import os

    assert cpu_seconds(os.getpid()) > 0
    memory = memory_of(os.getpid())
    assert 0 < memory.now <= memory.peak


def test_a_machine_with_one_core_pins_nothing() -> None:
    assert "one core" in str(Cores(frozenset(), frozenset({0})))
    assert usable_cores().others
