"""Starts the simulator as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]


class Process:
    """One life of ``python -m streamers.simulator``."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {**os.environ, "DATA_FOLDER": str(folder), "LOG_FORMAT": "text"}
        self.run_file = folder / "run" / "simulator.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamers.simulator", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> dict[str, Any]:
        """What the run file says, once it is this process's."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                run = json.loads(self.run_file.read_bytes())
            except (FileNotFoundError, json.JSONDecodeError):
                run = {}
            if run.get("pid") == self.process.pid:
                return run
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
                break
        raise AssertionError(f"not ready: {self.process.communicate()[1]}")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def simulator(folder: Path, *arguments: str) -> Iterator[Process]:
    process = Process(folder, *arguments)
    try:
        yield process
    finally:
        process.stop()
