"""Where a run takes place: a temporary folder, its own servers, and the processes that are measured."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from redis import Redis

from benchmarks.frames import SYMBOLS
from benchmarks.procfs import Cores
from trade_platform.adapters.children import Child
from trade_platform.adapters.database import migrate
from trade_platform.adapters.embedded import Server, start_postgres, start_redis
from trade_platform.adapters.loopback import get_json, post_json

KEY: Final = "binance_usdm"
SELECTION: Final = f"""
[[record]]
exchange = "{KEY}"
symbols = {list(SYMBOLS)}
channels = ["aggregate_trade"]
""".replace("'", '"')
PARAMETERS: Final = {"track_commit_timestamp": "on", "track_wal_io_timing": "on"}
"""What the figures are taken from; all else is as everywhere."""
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.005
PREPARE_SECONDS: Final = 60.0


class RunFailed(Exception):
    """The run cannot go on; the sentence says what did not happen."""


class Exchange:
    """The loopback exchange, from outside."""

    def __init__(self, child: Child, urls: dict[str, str]) -> None:
        self.child = child
        self.websocket_url = urls["websocket"]
        self.rest_url = urls["rest"]

    def prepare(self, frames: int) -> dict[str, Any]:
        return self._order(f"prepare?frames={frames}")

    def burst(self) -> dict[str, Any]:
        return self._order("burst")

    def pace(self, rate: int, frames: int) -> dict[str, Any]:
        return self._order(f"pace?rate={rate}&frames={frames}")

    def state(self) -> dict[str, Any]:
        return get_json(f"{self.rest_url}/control/state", timeout_seconds=PREPARE_SECONDS)

    def _order(self, order: str) -> dict[str, Any]:
        return post_json(f"{self.rest_url}/control/{order}", timeout_seconds=PREPARE_SECONDS)


class Stage:
    """What the parts of a run share; made by ``open_stage``."""

    def __init__(self, folder: Path, cores: Cores, postgres: Server, redis: Server) -> None:
        self.cores = cores
        self.postgres = postgres
        self._folder = folder
        self.redis = redis
        self._taken = 0

    @contextmanager
    def part(self) -> Iterator[Part]:
        """An empty database, an empty Redis, a data folder; its processes end with it."""
        self._taken += 1
        database = f"part_{self._taken}"
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        database_url = self.postgres.url.replace("/trade_platform?", f"/{database}?")
        migrate.upgrade(database_url)
        folder = self._folder / database
        folder.mkdir()
        (folder / "instruments.toml").write_text(SELECTION, encoding="utf-8")
        redis_url = self.redis.url.replace("db=0", f"db={self._taken}")
        with ExitStack() as clean_up, Redis.from_url(redis_url) as redis:
            clean_up.callback(redis.flushdb)  # memory for the next part
            yield Part(self, folder, database_url, redis_url, redis, clean_up)


class Part:
    """One part of a run."""

    def __init__(
        self, stage: Stage, folder: Path, database_url: str, redis_url: str, redis: Redis, clean_up: ExitStack
    ) -> None:
        self.stage = stage
        self.database_url = database_url
        self.redis = redis
        self._folder = folder
        self._clean_up = clean_up
        self._environment = {
            "DATA_FOLDER": str(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "INSTRUMENTS_FILE": str(folder / "instruments.toml"),
            "LOG_LEVEL": "warning",
        }

    @property
    def environment(self) -> dict[str, str]:
        """What every process of it is told."""
        return dict(self._environment)

    def exchange(self) -> Exchange:
        """Start the loopback exchange."""
        child = self._start("exchange", ["-m", "benchmarks.exchange"])
        run = child.ready()
        assert run is not None
        exchange = Exchange(child, run.urls[KEY])
        self._environment[f"{KEY.upper()}_WEBSOCKET_URL"] = exchange.websocket_url
        self._environment[f"{KEY.upper()}_REST_URL"] = exchange.rest_url
        return exchange

    def streamer(self, exchange: Exchange) -> Child:
        """Start the real streamer and wait until its first trades are in Redis."""
        child = self._start(f"streamer-{KEY}", ["-m", "streamers", "--exchange", KEY])
        self.stage.cores.pin(_pid(child))
        wait_until(lambda: exchange.state()["subscribers"] == 1, "The subscription", START_SECONDS, child)
        return child

    def processor(self, stream: str) -> Child:
        """Start the real processor."""
        name = f"processor-{stream.replace(':', '-')}"
        child = self._start(name, ["-m", "trade_platform.processors", "--stream", stream])
        self.stage.cores.pin(_pid(child))
        return child

    def stop(self, child: Child) -> None:
        """Gracefully; a process that does not end by itself makes the run void."""
        child.terminate()
        code = child.wait(STOP_SECONDS)
        if code != 0:
            raise RunFailed(f"{child.name} ended with {code}: {child.last_words()}")

    def _start(self, name: str, arguments: list[str]) -> Child:
        child = Child(name, arguments, self._environment, self._folder)
        child.start()
        self._clean_up.callback(child.wait, STOP_SECONDS)
        self._clean_up.callback(child.terminate)
        wait_until(lambda: child.ready() is not None, f"{name} to be ready", START_SECONDS, child)
        return child


@contextmanager
def open_stage(cores: Cores) -> Iterator[Stage]:
    """Start the servers in a temporary folder; stop them and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tp-bench-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user when we are root
    try:
        with (
            start_postgres(folder / "postgres", parameters=PARAMETERS) as postgres,
            start_redis(folder / "redis") as redis,
        ):
            yield Stage(folder, cores, postgres, redis)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(true: Callable[[], bool], what: str, seconds: float, child: Child) -> float:
    """Look every few milliseconds; the monotonic time when it was true. Raises RunFailed."""
    deadline = time.monotonic() + seconds
    while not true():
        if child.exited() is not None:
            raise RunFailed(f"{child.name} ended with {child.exited()}: {child.last_words()}")
        if time.monotonic() > deadline:
            raise RunFailed(f"{what} did not come within {seconds:.0f} s; {child.name}: {child.last_words()}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic()


def _pid(child: Child) -> int:
    assert child.pid is not None
    return child.pid
