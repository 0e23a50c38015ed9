"""What every long-running process shares: its run file, its signals, and its bond to who started it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final, Self

import msgspec

from trade_platform.adapters.metrics import Health, HealthServer, PortTaken, serve_health

__all__ = [
    "CannotStart",
    "Health",
    "HealthServer",
    "PortTaken",
    "Run",
    "RunFile",
    "die_with_parent",
    "read_runs",
    "serve_health",
    "stop_event",
    "wait_for_end",
]

PR_SET_PDEATHSIG: Final = 1


class CannotStart(Exception):
    """The process cannot begin its work; the sentence says why and what to do."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run file says of a process."""

    name: str
    pid: int
    metrics: str = ""
    """Base URL of its /metrics and /healthz."""
    started: int = 0
    """Microseconds UTC."""
    birth: int = 0
    """The kernel's start time of the process: tells it from a stranger who got the same pid."""
    urls: dict[str, dict[str, str]] = {}
    """A simulator's: exchange → websocket and rest base URLs."""
    market_clock: str = ""
    """Of a whole platform: what it told its processes; empty: the wall clock."""

    @property
    def alive(self) -> bool:
        """Is it still this very process?"""
        return birth_of(self.pid) == self.birth


class RunFile:
    """``run/<name>.json`` while the process runs; left behind by a crash, removed by a clean exit."""

    def __init__(
        self,
        data_folder: Path,
        name: str,
        *,
        metrics: str = "",
        started: int | None = None,
        urls: dict[str, dict[str, str]] | None = None,
        market_clock: str = "",
    ) -> None:
        self.path = data_folder / "run" / f"{name}.json"
        pid = os.getpid()
        self.run = Run(
            name=name,
            pid=pid,
            metrics=metrics,
            started=time.time_ns() // 1000 if started is None else started,
            birth=birth_of(pid),
            urls=urls or {},
            market_clock=market_clock,
        )

    def __enter__(self) -> Self:
        """Say that the process is ready; raises CannotStart."""
        temporary = self.path.with_suffix(f".{self.run.pid}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(self.run) + b"\n")
            temporary.replace(self.path)
        except OSError as error:
            raise CannotStart(
                f"{self.path} cannot be written ({error.strerror}): "
                "check the free space and the permissions of DATA_FOLDER."
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        run = read_run(self.path)
        if kind is None and run is not None and run.pid == self.run.pid:  # a successor keeps its own
            self.path.unlink(missing_ok=True)


def read_run(path: Path) -> Run | None:
    """What the file says; None where there is none or nothing readable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError):
        return None


def read_runs(data_folder: Path) -> list[Run]:
    """Every process that has a run file, alive or not, by name."""
    runs = (read_run(path) for path in sorted((data_folder / "run").glob("*.json")))
    return [run for run in runs if run is not None]


def birth_of(pid: int) -> int:
    """Start time of a process in the kernel's ticks; 0 where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return 0 if Path("/proc/self").exists() else _guess_birth(pid)
    state, *_ = columns = fields.split()
    return 0 if state in "ZX" else int(columns[19])


def _guess_birth(pid: int) -> int:
    """Where there is no /proc: 1 for any process that takes signals."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return 1
    except OSError:
        return 0
    return 1


def wait_for_end(pid: int, seconds: float) -> bool:
    """Wait until a process, ours or not, has ended; False if it did not in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def stop_event() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; the same signal a second time ends the process at once.

    The same: a terminal's Ctrl-C reaches a child as SIGINT, and its parent's SIGTERM follows; together
    they are one wish.
    """
    event = asyncio.Event()
    seen: set[int] = set()

    def note(number: int) -> None:
        if number in seen:
            os._exit(128 + number)
        seen.add(number)
        event.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note, number)
    return event


def keep_standard_streams() -> None:
    """Where a standard stream is closed, put nothing in its place: else the next socket would stand there."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def die_with_parent(parent: int = 0, *, death: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send us ``death`` when our parent ends, however it ends (Linux; elsewhere nothing).

    ``parent`` is the pid that must be it (setting PARENT_PID); where it is gone already, we leave at once.
    0 takes whoever is the parent now. The kernel means the parent's *thread*: children are to be
    started from a thread that lives as long as the process.
    """
    if sys.platform != "linux":
        return
    expected = parent or os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)
    if os.getppid() != expected:  # it ended before the kernel knew of our wish
        raise SystemExit(128 + signal.SIGTERM)
