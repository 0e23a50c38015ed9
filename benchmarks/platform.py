"""The real platform, started as a person starts it, with servers that a run may kill under it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from prometheus_client.samples import Sample

from benchmarks.loopback import ask, post, samples_of
from benchmarks.stage import RunFailed
from trade_platform.adapters.database import migrate
from trade_platform.adapters.embedded import Server, start_postgres, start_redis
from trade_platform.adapters.loopback import LoopbackError, get_json
from trade_platform.adapters.process import Run, read_run
from trade_platform.exchanges.registry import EXCHANGES

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PROGRAM: Final = str(Path(sys.executable).with_name("trade-platform"))
NAMES: Final = (
    "simulator",
    "processor-state",
    *(f"{kind}-{key}" for kind in ("processor-market", "streamer") for key in sorted(EXCHANGES)),
)
START_SECONDS: Final = 60.0
END_SECONDS: Final = 200.0
MARGIN_SECONDS: Final = 60.0
"""Market seconds before a moment in which a trade may be dated that was printed after it."""

_STORED: Final = """
select coalesce(sum(held.rows), 0)::bigint, coalesce(sum(held.numbers), 0)::bigint,
       coalesce(sum(held.newer), 0)::bigint
from (
    select count(*) filter (where sequence <= wanted.high) as rows,
           count(distinct sequence) filter (where sequence <= wanted.high) as numbers,
           count(*) filter (where sequence > wanted.high) as newer
    from unnest(%s::text[], %s::bigint[], %s::bigint[]) as wanted (symbol, low, high)
    join instrument using (symbol) join trade using (instrument_id)
    where exchange = %s and event_time >= to_timestamp(%s) and sequence > wanted.low
    group by symbol
) as held
"""
_STATES: Final = "select status, count(*) from exchange_state where exchange = %s group by 1"
_GAPS: Final = "select reason, count(*) from gap where exchange = %s group by 1"


class Mark(msgspec.Struct, frozen=True):
    """How far a simulated exchange had come at a moment."""

    market: int
    """Its time, microseconds UTC."""
    emitted: Mapping[str, int]
    """Last sequence by symbol."""
    delivered: int = 0
    """Messages handed to clients."""


class Stored(msgspec.Struct, frozen=True):
    """What the table of trades holds of what was printed between two marks."""

    missing: int
    duplicated: int
    newer: int
    """Trades beyond the second mark."""


class Platform:
    """One ``trade-platform up`` and its two servers; made by ``open_platform``."""

    def __init__(self, folder: Path, speed: float, seed: int) -> None:
        self.folder = folder / "data"
        self.speed = speed
        self.postgres: Server = start_postgres(folder / "postgres")
        self.redis: Server = start_redis(folder / "redis")
        self._root = folder
        self._database_url = self.postgres.url
        self._connection: psycopg.Connection | None = None
        migrate.upgrade(self._database_url)
        self._up = self._start(seed)

    # --- servers ---

    def start_redis(self) -> None:
        self.redis = start_redis(self._root / "redis")

    def start_postgres(self) -> None:
        self.postgres = start_postgres(self._root / "postgres")

    # --- processes ---

    def run_of(self, name: str) -> Run | None:
        """The process of this name, once it is ready and while it lives."""
        run = read_run(self.folder / "run" / f"{name}.json")
        return run if run is not None and run.alive else None

    def pid_of(self, name: str) -> int:
        """Raises LoopbackError where there is no such process now."""
        run = self.run_of(name)
        if run is None:
            raise LoopbackError(f"{name} does not run just now")
        return run.pid

    def metrics(self, name: str) -> list[Sample]:
        """Raises LoopbackError."""
        return samples_of(ask(f"{self._told(name).metrics}/metrics").decode())

    def health(self, name: str) -> dict[str, Any]:
        """Raises LoopbackError."""
        return get_json(f"{self._told(name).metrics}/healthz")

    def environment_of(self, name: str) -> dict[str, str]:
        """What ``up`` told this process."""
        raw = Path(f"/proc/{self.pid_of(name)}/environ").read_bytes()
        return dict(line.split("=", 1) for line in raw.decode(errors="replace").split("\0") if "=" in line)

    def log_of(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # --- the simulated exchanges ---

    def mark(self, exchange: str) -> Mark:
        """How far the exchange is now; raises LoopbackError."""
        state = get_json(f"{self._control(exchange)}/state")
        return Mark(state["market"], state["emitted"], state["delivered"])

    def inflict(self, exchange: str, fault: str, **fields: float) -> None:
        """Have the exchange do something wrong at once; raises LoopbackError."""
        answer = post(f"{self._control(exchange)}/fault", {"fault": fault, "exchange": exchange, **fields})
        if "error" in answer:
            raise RunFailed(f"The simulator does not know the fault {fault}: {answer['error']}.")

    # --- what is stored ---

    @property
    def connection(self) -> psycopg.Connection:
        """For questions of ours; opened anew after the server went away."""
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(self._database_url, autocommit=True, connect_timeout=2)
        return self._connection

    def stored(self, exchange: str, low: Mark, high: Mark) -> Stored:
        """Sequence numbers in (low, high] against rows; raises psycopg.Error.

        A symbol that first traded in between is left to the proof at the end.
        """
        symbols = [symbol for symbol in high.emitted if symbol in low.emitted]
        lows, highs = ([mark.emitted[symbol] for symbol in symbols] for mark in (low, high))
        since = low.market / 1e6 - MARGIN_SECONDS
        row = self.connection.execute(_STORED, (symbols, lows, highs, exchange, since)).fetchone()
        assert row is not None
        rows, numbers, newer = row
        return Stored(sum(highs) - sum(lows) - numbers, rows - numbers, newer)

    def gaps(self, exchange: str) -> dict[str, int]:
        """Gap rows so far by reason; raises psycopg.Error."""
        return dict(self.connection.execute(_GAPS, (exchange,)).fetchall())

    def states(self, exchange: str) -> dict[str, int]:
        """Rows about the exchange's state so far by status; raises psycopg.Error."""
        return dict(self.connection.execute(_STATES, (exchange,)).fetchall())

    # --- its life ---

    def await_all(self) -> None:
        """Until every process is ready and every exchange delivers; raises RunFailed."""
        self.until(lambda: all(self.run_of(name) for name in NAMES), "Every process", START_SECONDS)
        self.until(self._all_live, "Data of every exchange", START_SECONDS)

    def until(self, true: Callable[[], bool], what: str, seconds: float) -> None:
        """Look again and again; what is away for a moment is simply not true yet. Raises RunFailed."""
        deadline = time.monotonic() + seconds
        while not self._holds(true):
            self.check()
            if time.monotonic() > deadline:
                raise RunFailed(f"{what} did not come within {seconds:.0f} s.\n{self.last_words()}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raises RunFailed where ``up`` has ended."""
        if self._up.poll() is not None:
            raise RunFailed(f"trade-platform up ended with {self._up.returncode}.\n{self.last_words()}")

    def finish(self) -> int:
        """Ctrl-C: the platform drains, stores, proves and ends; its exit code."""
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(END_SECONDS)

    def close(self) -> None:
        """Whatever happened: nothing of ours stays behind."""
        simulator = read_run(self.folder / "run" / "simulator.json")
        if simulator is not None and simulator.alive:
            os.kill(simulator.pid, signal.SIGCONT)
        if self._up.poll() is None:
            self._up.terminate()
            try:
                self._up.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._up.kill()
        if self._connection is not None:
            self._connection.close()
        self.redis.stop()
        self.postgres.stop()

    def last_words(self) -> str:
        """The end of what ``up`` said."""
        return "\n".join((self._root / "up.log").read_text(encoding="utf-8").splitlines()[-12:])

    def _start(self, seed: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DATA_FOLDER": str(self.folder),
            "DATABASE_URL": self._database_url,
            "REDIS_URL": self.redis.url,
            "INSTRUMENTS_FILE": str(REPOSITORY / "config" / "instruments.toml"),
        }
        command = [PROGRAM, "up", "--simulated", "--speed", str(self.speed), "--seed", str(seed)]
        with (self._root / "up.log").open("wb") as log:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _told(self, name: str) -> Run:
        run = self.run_of(name)
        if run is None:
            raise LoopbackError(f"{name} does not run just now")
        return run

    def _control(self, exchange: str) -> str:
        return f"{self._told('simulator').urls[exchange]['rest']}/simulator"

    def _all_live(self) -> bool:
        return all(
            self.health(f"streamer-{key}").get("ok") and self.mark(key).delivered > 50 for key in EXCHANGES
        )

    def _holds(self, true: Callable[[], bool]) -> bool:
        try:
            return true()
        except (LoopbackError, psycopg.Error):
            return False


@contextmanager
def open_platform(speed: float, seed: int) -> Iterator[Platform]:
    """Start servers and platform in a temporary folder; stop them and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tp-faults-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user when we are root
    try:
        platform = Platform(folder, speed, seed)
        try:
            yield platform
        finally:
            platform.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
