"""``python -m trade_platform.defs.code``: the code server, whose children are the runs.

Dagster is imported inside ``main``: every run begins by importing this module again.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from contextlib import suppress
from typing import Final

from trade_platform.adapters.process import die_with_parent
from trade_platform.defs.hosting import announced_once_open, code_address, end_by_signal, run
from trade_platform.settings import Settings

RUN_SECONDS: Final = 5.0
"""That a run has to end by itself, its transaction undone, when the server is asked to stop."""


def main() -> int:
    """Serve definitions and run them, until SIGTERM."""
    return run(_serve)


def _serve(settings: Settings) -> None:
    end_by_signal(_end_runs)
    import click  # noqa: PLC0415 - see above
    from dagster._cli.api import grpc_command  # noqa: PLC0415

    host, port = code_address()
    arguments = ["--host", host, "--port", str(port), "--location-name", "trade_platform"]
    arguments += ["--module-name", "trade_platform.definitions", "--log-format", "json"]
    with announced_once_open(settings, "dagster-code", (host, port)), suppress(click.Abort):
        grpc_command.main(arguments, standalone_mode=False)


def _end_runs() -> None:
    """The server would wait for its runs, however long they take; they are started again another time."""
    for child in multiprocessing.active_children():
        child.terminate()
    threading.Thread(target=_kill_runs, daemon=True).start()


def _kill_runs() -> None:
    time.sleep(RUN_SECONDS)
    for child in multiprocessing.active_children():
        child.kill()


if __name__ == "__main__":
    raise SystemExit(main())
if __name__ == "__mp_main__":  # a run: killed with its server, so that whoever runs it again is alone
    die_with_parent(death=signal.SIGKILL)
