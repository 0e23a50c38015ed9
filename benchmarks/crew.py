"""The whole platform under a load that is held: ``trade-platform up``, with all that it starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.loopback import ask, gauges_of, samples_of
from benchmarks.platform import END_SECONDS, PROGRAM, REPOSITORY, START_SECONDS
from benchmarks.procfs import Memory, memory_of
from benchmarks.stage import STOP_SECONDS, RunFailed, wait_until
from trade_platform.adapters.children import LEADER, Child
from trade_platform.adapters.database import migrate
from trade_platform.adapters.embedded import start_postgres, start_redis
from trade_platform.adapters.loopback import get_json, post_json
from trade_platform.adapters.process import Run, read_runs
from trade_platform.exchanges.registry import EXCHANGES

WINDOW_SECONDS: Final = 60
"""Stored entries stay in Redis for so long here; with the usual 15 minutes it would fill all the time."""
SIMULATOR: Final = "simulator"
REDIS: Final = "redis"
EQUIPMENT: Final = frozenset({SIMULATOR, REDIS})
"""Shown, not judged: the simulator keeps what it printed for REST, Redis has a bound of its own."""


class Crew:
    """Simulated exchanges, and the platform that takes them for real ones; made by ``open_crew``."""

    def __init__(self, folder: Path, rate: float, seed: int, stack: ExitStack) -> None:
        self._root = folder
        self._folder = folder / "data"
        postgres = stack.enter_context(start_postgres(folder / "postgres"))
        self._redis = stack.enter_context(start_redis(folder / "redis"))
        migrate.upgrade(postgres.url)
        self._environment = {
            "DATA_FOLDER": str(self._folder),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": self._redis.url,
            "INSTRUMENTS_FILE": str(REPOSITORY / "config" / "instruments.toml"),
            "STREAM_WINDOW_SECONDS": str(WINDOW_SECONDS),
        }
        self._simulator = self._start_simulator(rate, seed, stack)
        self._up = self._start_platform(stack)
        self._pids: dict[str, int] = {}
        wait_until(self._live, "data of every exchange", START_SECONDS, self._simulator)
        self._pids = {run.name: run.pid for run in self._runs()}

    def memory(self) -> dict[str, Memory]:
        """Of each process by name; raises RunFailed where one has ended."""
        now = {run.name: run.pid for run in self._runs()}
        for name, pid in self._pids.items():
            if now.get(name) != pid:
                raise RunFailed(f"{name} (pid {pid}) has ended.\n{self._last_words()}")
        return {**{name: memory_of(pid) for name, pid in now.items()}, REDIS: memory_of(self._redis.pid)}

    def gauges(self) -> dict[str, dict[str, float]]:
        """Of each process that tells any; raises LoopbackError."""
        return {run.name: gauges_of(_page(run)) for run in self._runs() if run.metrics}

    def messages(self) -> float:
        """Received by all streamers so far; raises LoopbackError."""
        pages = (_page(run) for run in self._runs() if run.name.startswith("streamer-"))
        return sum(
            sample.value
            for page in pages
            for sample in samples_of(page)
            if sample.name == "streamer_messages_total"
        )

    def stop(self) -> None:
        """The market first, then the platform, which stores and proves; raises RunFailed where it cannot."""
        run = self._simulator.ready()
        for urls in run.urls.values() if run is not None else ():
            post_json(f"{urls['rest']}/simulator/pause")
        self._up.send_signal(signal.SIGINT)
        code = self._up.wait(END_SECONDS)
        if code != 0:
            raise RunFailed(f"trade-platform up ended with {code}.\n{self._last_words()}")

    def _start_simulator(self, rate: float, seed: int, stack: ExitStack) -> Child:
        arguments = ["-m", "streamers.simulator", "--rate", str(rate), "--seed", str(seed)]
        child = Child(SIMULATOR, arguments, self._environment, self._folder)
        child.start()
        stack.callback(child.wait, STOP_SECONDS)
        stack.callback(child.terminate)
        wait_until(lambda: child.ready() is not None, f"{SIMULATOR} to be ready", START_SECONDS, child)
        run = child.ready()
        for exchange, urls in run.urls.items() if run is not None else ():
            self._environment[f"{exchange.upper()}_WEBSOCKET_URL"] = urls["websocket"]
            self._environment[f"{exchange.upper()}_REST_URL"] = urls["rest"]
        return child

    def _start_platform(self, stack: ExitStack) -> subprocess.Popen[bytes]:
        with (self._root / "up.log").open("wb") as log:
            up = subprocess.Popen(
                [PROGRAM, "up", "--live", "--no-dagster"],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        stack.callback(up.wait, END_SECONDS)
        stack.callback(up.terminate)
        return up

    def _live(self) -> bool:
        if self._up.poll() is not None:
            raise RunFailed(f"trade-platform up ended with {self._up.returncode}.\n{self._last_words()}")
        runs = {run.name: run for run in self._runs()}
        streamers = [runs.get(f"streamer-{exchange}") for exchange in EXCHANGES]
        return LEADER in runs and all(
            run is not None and get_json(f"{run.metrics}/healthz").get("ok") for run in streamers
        )

    def _runs(self) -> list[Run]:
        return [run for run in read_runs(self._folder) if run.alive]

    def _last_words(self) -> str:
        return "\n".join((self._root / "up.log").read_text(encoding="utf-8").splitlines()[-8:])


@contextmanager
def open_crew(rate: float, seed: int) -> Iterator[Crew]:
    """Start everything in a temporary folder; stop and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tp-soak-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user when we are root
    try:
        with ExitStack() as stack:
            yield Crew(folder, rate, seed, stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _page(run: Run) -> str:
    return ask(f"{run.metrics}/metrics").decode()
