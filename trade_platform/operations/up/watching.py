"""While the platform runs: show it, start again what dies, replace what is to be replaced."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from trade_platform.domain.model import MICROSECONDS
from trade_platform.operations.up.processes import READY_SECONDS, Processes
from trade_platform.operations.up.upgrading import Upgrading

LIVE_SECONDS = 15.0
"""How long the countdown of ``--seconds`` waits for every real exchange to deliver."""
LOOK_SECONDS = 1.0
STEP_SECONDS = 0.1
"""Between two steps of an upgrade."""


def watch(processes: Processes, stop: threading.Event) -> None:
    """Until it is time to end."""
    options = processes.options
    upgrading = Upgrading(processes)
    end: float | None = None
    live_by = time.monotonic() + (READY_SECONDS if options.simulated else LIVE_SECONDS)
    try:
        while not _wait(stop, upgrading):
            processes.keep_alive(*processes.lanes, processes.simulator, processes.vault)
            processes.show(_moment(processes, end))
            if options.captures and processes.simulator_says("finished"):
                return
            if end is None and (_all_live(processes) or time.monotonic() > live_by):
                end = time.monotonic() + (options.seconds or float("inf"))
            if end is not None:  # it takes most of a machine while it starts
                processes.look_after_dagster()
            if end is not None and time.monotonic() >= end:
                return
    finally:
        upgrading.give_up()


def _wait(stop: threading.Event, upgrading: Upgrading) -> bool:
    """For the next look; an upgrade goes on meanwhile. True when it is time to stop."""
    until = time.monotonic() + LOOK_SECONDS
    while upgrading.step():
        if stop.wait(STEP_SECONDS):
            return True
        if time.monotonic() >= until:
            return False
    return stop.wait(max(until - time.monotonic(), 0.0))


def _all_live(processes: Processes) -> bool:
    return all(health.get("ok", False) for health in processes.streamers_say())


def _moment(processes: Processes, end: float | None) -> str:
    """What time it is in the market, and how long there is to go."""
    now = time.monotonic()
    parts = []
    if clock := processes.surroundings.clock:
        moment = datetime.fromtimestamp(clock.at(now) // MICROSECONDS, UTC)
        parts.append(f"market time {moment:%Y-%m-%d %H:%M:%S} UTC, ×{clock.speed:g}")
    if end is not None and end != float("inf"):
        parts.append(f"{max(end - now, 0):.0f} s to go")
    return ", ".join(parts)
