"""Child processes of ``trade-platform up``: started, watched, restarted, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from trade_platform.adapters.embedded import EmbeddedError, Server
from trade_platform.adapters.process import Run, read_run, read_runs

_RESTART_LIMIT_SECONDS = 30.0
_TAIL_BYTES = 64 * 1024
LARGEST_LOG = 64 * 1024 * 1024
"""A log that has grown beyond this is begun anew at the next start; the one before is kept."""
LEADER = "up"
"""Name of the process that keeps the others alive."""


def running(folder: Path) -> list[Run]:
    """The processes of a data folder that are alive."""
    return [run for run in read_runs(folder) if run.alive]


class Child:
    """One process, its log file and how often it had to be started again."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        restarts: bool = True,
    ) -> None:
        """``restarts``: it is started again when it dies."""
        self.name = name
        self.restarts = 0
        self._kept = restarts
        self._arguments = [sys.executable, *arguments]
        self._environment = {
            **os.environ,
            **environment,
            "PROCESS_NAME": name,
            "PARENT_PID": str(os.getpid()),
        }
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._next_start = 0.0
        self._run_file = folder / "run" / f"{name}.json"

    @property
    def log_path(self) -> Path:
        return self._folder / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it in its own session, so that a Ctrl-C at the terminal reaches us alone."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LARGEST_LOG:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> Run | None:
        """Its run file, once it is ready."""
        run = read_run(self._run_file)
        return run if run is not None and run.pid == self.pid and run.alive else None

    def exited(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll() if self._process else None

    def forget(self, variable: str) -> None:
        """It is started without this setting from the next time on."""
        self._environment.pop(variable, None)

    def keep_alive(self) -> str | None:
        """Start it again if it died, at most at a growing interval; the sentence to say when it did."""
        code = self.exited()
        if code is None or self._stopping or not self._kept or time.monotonic() < self._next_start:
            return None
        self.restarts += 1
        self._next_start = time.monotonic() + min(0.5 * 2 ** min(self.restarts, 6), _RESTART_LIMIT_SECONDS)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        said = "" if code < 0 else f" ({self.last_words()})"
        self.start()
        return f"{self.name} {how} and was started again{said}"

    def terminate(self) -> None:
        """Ask it to stop gracefully."""
        self._stopping = True
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def restart(self) -> None:
        """Ask it to stop; ``keep_alive`` starts it again."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; kill it when it overstays. The exit code, None if it had to be killed."""
        if self._process is None:
            return 0
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        return code

    def last_words(self) -> str:
        """The last thing that it said before it ended, as a sentence."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(self.log_path.stat().st_size - _TAIL_BYTES, 0))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "no log"
        return _sentence(lines[-1].strip()) if lines else "it said nothing"


def _sentence(line: str) -> str:
    """A log line's event and error; a line that is no JSON as it is."""
    try:
        logged = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError:
        return line[-300:]
    error = str(logged.get("error") or logged.get("exception") or "").strip().splitlines()
    return " ".join([str(logged.get("event", "")), *error[-1:]])[-300:]


class Kept:
    """An embedded server that is started again, on the same data, when it dies."""

    def __init__(self, start: Callable[[], Server]) -> None:
        self._start = start
        self._server = start()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def name(self) -> str:
        return self._server.name

    def keep_alive(self) -> str | None:
        """Start it again if it died; the sentence to say when it did."""
        if self._server.alive:
            return None
        try:
            self._server = self._start()
        except EmbeddedError as error:
            return f"{self.name} died and does not start: {error}"
        return f"{self.name} died and was started again"

    def stop(self) -> None:
        self._server.stop()


def stop_leftovers(folder: Path, *, seconds: float = 15.0) -> list[str]:
    """Stop what runs in this data folder, ``up`` itself first, and what a killed run left; their names."""
    left = running(folder)
    leaders = [run for run in left if run.name == LEADER]
    _stop(leaders, seconds=10 * seconds)  # it stops its children itself, in order, and verifies
    _stop([run for run in running(folder) if run.name != LEADER], seconds=seconds)
    for run in left:
        (folder / "run" / f"{run.name}.json").unlink(missing_ok=True)
    return [run.name for run in left]


def _stop(runs: Sequence[Run], *, seconds: float) -> None:
    for run in runs:
        if run.alive:
            os.kill(run.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while any(run.alive for run in runs) and time.monotonic() < deadline:
        pause.wait(0.05)
    for run in runs:
        if run.alive:
            os.kill(run.pid, signal.SIGKILL)
