"""The whole platform on this machine, in the foreground: servers, exchanges, streamers, processors.

Started in the order in which each needs the other, watched, stopped in the order in which nothing is
lost: the simulated market first, then streamers (they drain), then processors (they store), then the
proof, then the servers.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

from trade_platform.operations.up.finishing import finish
from trade_platform.operations.up.plan import (
    Display,
    Options,
    Outcome,
    Surroundings,
    UpError,
    replay_clock,
    simulated_clock,
)
from trade_platform.operations.up.processes import Processes
from trade_platform.operations.up.watching import watch

__all__ = [
    "Display",
    "Options",
    "Outcome",
    "Surroundings",
    "UpError",
    "replay_clock",
    "simulated_clock",
    "up",
]


def up(options: Options, surroundings: Surroundings, display: Display, stop: threading.Event) -> Outcome:
    """Run until ``seconds`` are over, the recorded session ends, or ``stop`` is set; then drain and prove.

    Raises UpError when a process does not come up.
    """
    with ExitStack() as stack:
        processes = Processes(options, surroundings, display)
        stack.callback(processes.stop_everything)
        processes.start(stop)
        watch(processes, stop)
        return finish(processes)
