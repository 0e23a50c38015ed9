"""The faults, and the stages on which they are played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.matrix import bus, connections, database, limits, messages, processes, silences
from benchmarks.matrix.case import ALL, Case
from benchmarks.matrix.pairs import pairs
from benchmarks.platform import Stage

__all__ = ["ALL", "GROUPS", "QUICK", "STAGES", "Case", "cases"]

MAXIMUM_AGE_SECONDS: Final = 12
SMALL_BUFFER: Final = {"BUFFER_RECORDS": "100"}
"""So that an outage of seconds needs the disk."""
STAGES: Final = {
    stage.name: stage
    for stage in (
        Stage(name="plain"),
        Stage(name="bus", relay=True, environment=SMALL_BUFFER),
        Stage(name="aged", environment={"CONNECTION_MAXIMUM_AGE_SECONDS": str(MAXIMUM_AGE_SECONDS)}),
        Stage(name="small_disk", small_spool=1024, environment=SMALL_BUFFER),
        Stage(name="horizon"),
        Stage(name="kills"),
        Stage(name="machine"),
        Stage(name="upgrade"),
    )
}
QUICK: Final = ("abort", "duplicate", "skip", "malformed", "streamer_kill", "processor_kill")
"""What a test runs: seconds each, and judged without times."""


def groups(seed: int, count: int) -> Mapping[str, list[Case]]:
    """All of them, by what goes wrong."""
    single = {
        "connections": connections.cases(),
        "silences": silences.cases(),
        "messages": messages.cases(),
        "limits": limits.cases(),
        "processes": processes.cases(seed),
        "redis": bus.cases(),
        "postgres": database.cases(),
    }
    return {**single, "pairs": pairs([case for group in single.values() for case in group], count, seed)}


GROUPS: Final = tuple(groups(0, 0))


def cases(seed: int = 1, count: int = 0) -> list[Case]:
    """Each anew, with ``count`` pairs: some remember what they saw."""
    return [case for group in groups(seed, count).values() for case in group]
