"""Faults of our own processes: killed one by one, at random, all at once; replaced while they work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks.loopback import Reading
from benchmarks.matrix.case import ALL, DERIBIT, SPOT, Case, signalled, told
from benchmarks.matrix.connections import READ_AGAIN
from benchmarks.platform import Platform
from benchmarks.signs import Look, ended, processes
from benchmarks.standby import Standby
from trade_platform.adapters.bus import market_stream
from trade_platform.domain.defences import Defence

KILLS: Final = 50
KILLS_SECONDS: Final = 75.0
UNHEARD_SECONDS: Final = 1.5
RESTART: Final = (Defence.RESTART,)


def cases(seed: int) -> list[Case]:
    """In the order in which they are run."""
    standby = Standby(market_stream(ALL[0]))
    kills = Kills(seed)
    upgrade = Upgrade()
    return [
        killed("streamer_kill", "streamer-{}"),
        killed("processor_kill", "processor-market-{}"),
        Case(
            name="state_processor_kill", kind="process", targets=DERIBIT, inflict=state_processor,
            expects_gap=True, proof=gone("processor-state"), sign=ended("processor-state"),
            defences=RESTART, combines=False,
        ),
        Case(
            name="two_processors", kind="process", targets=SPOT, combines=False, prepare=standby.begin,
            clean_up=standby.end, inflict=signalled("processor-market-{}", signal.SIGKILL),
            proof=standby.waited, sign=standby.owns,
            harmless="one owner by a lock of PostgreSQL: it cannot be switched off",
        ),
        Case(
            name="kills", kind="process", stage="kills", shared=True, combines=False, hold=KILLS_SECONDS,
            covers=("streamer/processor kill -9 at random points, 50 times in a row under load",),
            inflict=kills.begin, heal=kills.end, proof=kills.done, sign=kills.done, patience=90.0,
            harmless="see streamer_kill and processor_kill",
        ),
        Case(
            name="machine_restart", kind="process", stage="machine", shared=True, combines=False, hold=1.0,
            covers=("machine restart of everything at once",),
            inflict=fall, heal=lambda platform, _: platform.rise(),
            proof=processes("streamer-{}"), sign=processes("streamer-{}"), patience=90.0,
            patience_without=60.0, defences=READ_AGAIN, outage=True,
        ),
        Case(
            name="upgrade", kind="process", stage="upgrade", shared=True, combines=False, hold=1.0,
            inflict=upgrade.order, proof=upgrade.done, sign=processes("streamer-{}"), expects_none=True,
            patience=300.0,
            harmless="what a restart without a successor leaves is seen at streamer_kill",
        ),
    ]  # fmt: skip


def killed(name: str, process: str) -> Case:
    """Of every exchange at once."""
    return Case(
        name=name, kind="process", inflict=signalled(process, signal.SIGKILL), proof=gone(process),
        sign=ended(process), defences=RESTART,
    )  # fmt: skip


def gone(process: str) -> Look:
    """The pid of the beginning is no more."""
    first: dict[str, int] = {}

    def look(platform: Platform, target: str) -> Reading:
        run = platform.run_of(process.format(target))
        before = first.setdefault(target, run.pid if run is not None else 0)
        return {f"pid {before} ended": float(run is None or run.pid != before)}

    return look


def state_processor(platform: Platform, targets: Sequence[str]) -> None:
    """An event must come by to show that it stores again."""
    signalled("processor-state", signal.SIGKILL)(platform, targets[:1])
    told("abort")(platform, targets)


def fall(platform: Platform, targets: Sequence[str]) -> None:
    """The exchanges go on while the machine goes down: what they print last reaches nobody."""
    told("silence", seconds=UNHEARD_SECONDS + 10.0)(platform, targets)
    time.sleep(UNHEARD_SECONDS)
    platform.fall()


class Upgrade:
    """As a person orders it; what it says stands in up's log."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def order(self, platform: Platform, _targets: Sequence[str]) -> None:
        self._process = platform.order("upgrade")

    def done(self, _platform: Platform, _target: str) -> Reading:
        code = self._process.poll() if self._process is not None else None
        return {"upgrade: every process replaced": float(code == 0)}


class Kills:
    """Ends children of ``up`` one after the other, whatever they are doing just then."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._count = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, platform: Platform, _targets: Sequence[str]) -> None:
        self._thread = threading.Thread(target=self._kill, args=(platform,), daemon=True)
        self._thread.start()

    def end(self, _platform: Platform, _targets: Sequence[str]) -> None:
        """The last ones, if it is not through yet."""
        assert self._thread is not None
        self._thread.join(KILLS_SECONDS)
        self._stop.set()

    def done(self, _platform: Platform, _target: str) -> Reading:
        return {f"{KILLS} processes killed": float(self._count >= KILLS)}

    def _kill(self, platform: Platform) -> None:
        mean = KILLS_SECONDS / KILLS
        while self._count < KILLS and not self._stop.wait(self._dice.uniform(0.2, 1.8) * mean):
            victims = sorted(victims_of(platform))
            if victims:
                with suppress(ProcessLookupError):
                    os.kill(self._dice.choice(victims), signal.SIGKILL)
                    self._count += 1


def victims_of(platform: Platform) -> set[int]:
    """What ``up`` has started, ready or not, but not the exchanges."""
    found: set[int] = set()
    for path in Path(f"/proc/{platform.leader}/task").glob("*/children"):
        found |= {int(pid) for pid in path.read_text(encoding="ascii").split()}
    simulator = platform.run_of("simulator")
    return found - ({simulator.pid} if simulator is not None else set())
