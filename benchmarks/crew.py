"""The processes of the platform under a load that is held, without anybody who starts them again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.loopback import ask, gauges_of, samples_of
from benchmarks.platform import REPOSITORY, START_SECONDS
from benchmarks.procfs import Memory, memory_of
from benchmarks.stage import STOP_SECONDS, RunFailed, wait_until
from trade_platform.adapters.bus import STATE_STREAM, market_stream
from trade_platform.adapters.children import Child
from trade_platform.adapters.database import migrate
from trade_platform.adapters.embedded import start_postgres, start_redis
from trade_platform.adapters.loopback import post_json
from trade_platform.adapters.process import Run
from trade_platform.exchanges.registry import EXCHANGES

WINDOW_SECONDS: Final = 60
"""Stored entries stay in Redis for so long here; with the usual 15 minutes it would fill all the time."""
SIMULATOR: Final = "simulator"
REDIS: Final = "redis"
EQUIPMENT: Final = frozenset({SIMULATOR, REDIS})
"""Shown, not judged: the simulator keeps what it printed for REST, Redis has a bound of its own."""


class Crew:
    """Simulator, processors and streamers on servers of their own; made by ``open_crew``."""

    def __init__(self, folder: Path, rate: float, seed: int, stack: ExitStack) -> None:
        self._folder = folder / "data"
        self._stack = stack
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
        self._children: list[Child] = []
        self._start_all(rate, seed)

    def memory(self) -> dict[str, Memory]:
        """Of each process by name; raises RunFailed where one has ended."""
        found = {}
        for child in self._children:
            if child.pid is None or child.exited() is not None:
                raise RunFailed(f"{child.name} ended with {child.exited()}: {child.last_words()}")
            found[child.name] = memory_of(child.pid)
        return {**found, REDIS: memory_of(self._redis.pid)}

    def gauges(self) -> dict[str, dict[str, float]]:
        """Of each process; raises LoopbackError."""
        return {child.name: gauges_of(self._page(child)) for child in self._children}

    def messages(self) -> float:
        """Received by all streamers so far; raises LoopbackError."""
        pages = (self._page(child) for child in self._children if child.name.startswith("streamer-"))
        return sum(
            sample.value
            for page in pages
            for sample in samples_of(page)
            if sample.name == "streamer_messages_total"
        )

    def stop(self) -> None:
        """The market first, then what carries it; raises RunFailed where one does not end by itself."""
        for urls in _run(self._children[0]).urls.values():
            post_json(f"{urls['rest']}/simulator/pause")
        for kind in ("streamer-", "processor-", SIMULATOR):
            self._end([child for child in self._children if child.name.startswith(kind)])

    def _start_all(self, rate: float, seed: int) -> None:
        arguments = ["-m", "streamers.simulator", "--rate", str(rate), "--seed", str(seed)]
        self._start(SIMULATOR, arguments)
        for exchange, urls in _run(self._children[0]).urls.items():
            self._environment[f"{exchange.upper()}_WEBSOCKET_URL"] = urls["websocket"]
            self._environment[f"{exchange.upper()}_REST_URL"] = urls["rest"]
        for stream in (*map(market_stream, sorted(EXCHANGES)), STATE_STREAM):
            name = f"processor-{stream.replace(':', '-')}"
            self._start(name, ["-m", "trade_platform.processors", "--stream", stream])
        for exchange in sorted(EXCHANGES):
            self._start(f"streamer-{exchange}", ["-m", "streamers", "--exchange", exchange])

    def _start(self, name: str, arguments: list[str]) -> None:
        child = Child(name, arguments, self._environment, self._folder)
        child.start()
        self._children.append(child)
        self._stack.callback(child.wait, STOP_SECONDS)
        self._stack.callback(child.terminate)
        wait_until(lambda: child.ready() is not None, f"{name} to be ready", START_SECONDS, child)

    def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.terminate()
        for child in children:
            code = child.wait(STOP_SECONDS)
            if code != 0:
                raise RunFailed(f"{child.name} ended with {code}: {child.last_words()}")

    def _page(self, child: Child) -> str:
        return ask(f"{_run(child).metrics}/metrics").decode()


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


def _run(child: Child) -> Run:
    run = child.ready()
    if run is None:
        raise RunFailed(f"{child.name} does not run: {child.last_words()}")
    return run
