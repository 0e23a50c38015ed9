"""The whole platform as a user starts it: real processes, real PostgreSQL, real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from trade_platform.adapters.process import Run, read_run

T = TypeVar("T")

PROGRAM = str(Path(sys.executable).with_name("trade-platform"))


def plain(verb: str, *arguments: str) -> list[str]:
    """``up`` without Dagster, unless a test asks for it: a later --dagster has the last word."""
    return [verb, *(["--no-dagster"] if verb == "up" else []), *arguments]


class Platform:
    """One ``trade-platform up`` in a data folder of its own."""

    def __init__(self, folder: Path, environment: dict[str, str], repository: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "DATA_FOLDER": str(folder), **environment}
        self._repository = repository
        self._process: subprocess.Popen[str] | None = None

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    def run(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        return subprocess.run(
            [PROGRAM, *plain(*arguments)],
            env=self.environment,
            cwd=self._repository,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> None:
        """Start ``up`` in the background."""
        self._process = subprocess.Popen(
            [PROGRAM, *plain("up", *arguments)],
            env=self.environment,
            cwd=self._repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def stop(self, timeout: float = 180) -> tuple[int, str]:
        """Ctrl-C, then the exit code and everything that was said."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self.wait(timeout)

    def wait(self, timeout: float = 180) -> tuple[int, str]:
        """Its exit code and everything that it said, once it ends."""
        assert self._process is not None
        said, _ = self._process.communicate(timeout=timeout)
        return self._process.returncode, said

    def running(self, name: str) -> Run | None:
        """The process of this name, when it is ready and alive."""
        run = read_run(self.folder / "run" / f"{name}.json")
        return run if run is not None and run.alive else None

    def await_running(self, name: str, *, other_than: int = 0) -> int:
        """Its pid, once it runs as another process than ``other_than``."""

        def found() -> int | None:
            run = self.running(name)
            return run.pid if run is not None and run.pid != other_than else None

        return self.until(found, f"{name} is ready")

    def until(self, condition: Callable[[], T | None], what: object, timeout: float = 90) -> T:
        """Ask again and again until there is an answer; the timeout only ends a broken run."""
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while (answer := condition()) is None or answer is False:
            assert time.monotonic() < deadline, f"waited {timeout} s in vain: {what}\n{self.logs()}"
            if self._process is not None and self._process.poll() is not None:
                pytest.fail(
                    f"up ended while waiting for: {what}\n{self._process.communicate()[0]}\n{self.logs()}"
                )
            pause.wait(0.05)
        return answer

    def alone_until(self, condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
        """Like ``until``, after ``up`` itself has ended."""
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"waited {timeout} s in vain: {what}"
            pause.wait(0.05)

    def held(self) -> int:
        """Trades in PostgreSQL."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("select count(*) from trade").fetchone()
        return row[0] if row else 0

    def logs(self) -> str:
        """The last lines of every process, for a failure's report."""
        files = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-8:])
            for path in files
        )

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def platform(tmp_path: Path, postgres_url: str, redis_url: str, repository: Path) -> Iterator[Platform]:
    """Not started yet; on the test session's servers, so that a test can look into them."""
    environment = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url}
    one = Platform(tmp_path / "data", environment, repository)
    yield one
    one.kill()
