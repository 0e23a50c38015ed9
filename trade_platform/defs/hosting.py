"""What the three processes of Dagster share: settings, the bond to who started them, an end in time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from trade_platform.adapters.dagster_home import is_open
from trade_platform.adapters.process import CannotStart, RunFile, die_with_parent
from trade_platform.settings import Settings, SettingsError, settings_from

STOP_SECONDS: Final = 9.0
"""For Dagster's own way of ending; after that the process is left: what it did is in its database."""
LOOK_SECONDS: Final = 0.05
NICENESS: Final = 5
"""About a third of what a process of the same machine gets that records."""


def run(work: Callable[[Settings], None]) -> int:
    """Do the process's work until SIGTERM; 0: graceful stop, 1: it could not go on, 2: wrong settings."""
    try:
        settings = settings_from()
        if settings.parent_pid:
            die_with_parent(settings.parent_pid)
        give_way()
        _require("DAGSTER_HOME", "DAGSTER_STORAGE_URL", "DAGSTER_CODE_HOST", "DAGSTER_CODE_PORT")
        work(settings)
    except (SettingsError, CannotStart) as error:
        print(error, file=sys.stderr)  # noqa: T201 - Dagster's logging is not ours
        return 2 if isinstance(error, SettingsError) else 1
    except KeyboardInterrupt:  # what Dagster makes of SIGTERM
        pass
    return 0


def give_way() -> None:
    """Let those who record go first, before this process and its children, the runs."""
    os.nice(NICENESS)
    with suppress(OSError):  # where the kernel weighs sessions, not processes
        Path("/proc/self/autogroup").write_text(f"{NICENESS}", encoding="ascii")


def code_address() -> tuple[str, int]:
    """Where the code server listens."""
    return os.environ["DAGSTER_CODE_HOST"], int(os.environ["DAGSTER_CODE_PORT"])


def end_by_signal(before: Callable[[], None] = lambda: None) -> None:
    """SIGTERM and SIGINT: ``before``, then what Dagster does on Ctrl-C, and an end after STOP_SECONDS.

    Dagster gives SIGTERM whatever SIGINT has, so both are set here before it looks.
    """

    def note(*_: object) -> None:
        leave_in(STOP_SECONDS)
        before()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)


def leave_in(seconds: float) -> None:
    """End the process then, if it has not ended by itself."""
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()


@contextmanager
def announced(settings: Settings, name: str, page: str = "") -> Iterator[None]:
    """Its run file, while it runs; ``page``: where a person looks at it."""
    urls = {"page": {"http": page}} if page else {}
    run_file = RunFile(settings.data_folder, settings.process_name or name, urls=urls)
    with run_file, suppress(KeyboardInterrupt):  # a clean end: the file goes
        yield


@contextmanager
def announced_once_open(settings: Settings, name: str, address: tuple[str, int]) -> Iterator[None]:
    """The same, from the moment on when somebody listens there."""
    run_file = RunFile(settings.data_folder, settings.process_name or name)
    over = threading.Event()

    def announce() -> None:
        while not over.is_set():
            if is_open(*address):
                run_file.__enter__()
                return
            time.sleep(LOOK_SECONDS)

    thread = threading.Thread(target=announce, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)
        run_file.__exit__(None)


def _require(*variables: str) -> None:
    for name in variables:
        if not os.environ.get(name):
            raise SettingsError(f"{name} is not set: `trade-platform up` sets it for its children.")
