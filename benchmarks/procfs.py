"""What the kernel says of processes, and on which cores they run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

TICKS: Final = os.sysconf("SC_CLK_TCK")


class Memory(msgspec.Struct, frozen=True):
    """Resident memory in megabytes."""

    now: float
    peak: float


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far, in steps of a kernel tick (10 ms)."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_seconds_of_children(pid: int) -> float:
    """The same of all processes that this one started and that run now."""
    return sum(cpu_seconds(child) for child in _children(pid))


def memory_of(pid: int) -> Memory:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    sizes = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return Memory(*(int(sizes[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")))


def private_memory_of_children(pid: int) -> float:
    """Megabytes that the processes which this one started hold for themselves, shared memory not counted."""
    return sum(map(_private_memory, _children(pid)))


class Cores(msgspec.Struct, frozen=True):
    """One core for the process that is measured, the others for all else."""

    measured: frozenset[int]
    others: frozenset[int]

    def settle(self) -> None:
        """Move ourselves, and with us whatever we start, to the other cores."""
        if self.measured:
            os.sched_setaffinity(0, self.others)

    def pin(self, pid: int) -> None:
        """Give a process that was just started the core that is kept for it."""
        if self.measured:
            os.sched_setaffinity(pid, self.measured)

    def release(self, pid: int) -> None:
        """Let a process run where the kernel likes."""
        if self.measured:
            os.sched_setaffinity(pid, self.measured | self.others)

    def __str__(self) -> str:
        if not self.measured:
            return "nothing pinned: there is one core"
        others = ", ".join(map(str, sorted(self.others)))
        return f"the measured process on core {min(self.measured)}, all else on {others}"


def usable_cores() -> Cores:
    """The first core is the measured one's, where there are two."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others)) if others else Cores(frozenset(), frozenset({first}))


def processor_name() -> str:
    """As the kernel names the machine's processor."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def _private_memory(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has just ended
        return 0.0
    _, _, rest = text.partition("\nRssAnon:")
    return int(rest.split()[0]) / 1024 if rest else 0.0


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]
