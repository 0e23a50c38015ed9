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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec
import psycopg

from benchmarks.observed import Observed
from benchmarks.recorded import Tables
from benchmarks.relay import Relay
from benchmarks.seclusion import Seclusion
from benchmarks.stage import RunFailed
from trade_platform.adapters.database import migrate
from trade_platform.adapters.embedded import Server, start_postgres, start_redis
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.adapters.process import read_runs
from trade_platform.exchanges.registry import EXCHANGES

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PROGRAM: Final = str(Path(sys.executable).with_name("trade-platform"))
NAMES: Final = (
    "simulator",
    "processor-state",
    *(f"{kind}-{key}" for kind in ("processor-market", "streamer") for key in sorted(EXCHANGES)),
)
LIVE_SECONDS: Final = 40.0
SENTENCES: Final = ("·", "trade-platform:", "Incomplete", "Complete")
"""How a line of ``up`` begins that is no table."""
START_SECONDS: Final = 120.0
END_SECONDS: Final = 200.0


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """With what settings a platform runs."""

    name: str
    environment: Mapping[str, str] = {}
    relay: bool = False
    """Redis is reached through a relay of ours."""
    small_spool: int = 0
    """Kilobytes of the disk that holds the spool; 0: as much as there is."""


class Platform(Observed):
    """One ``trade-platform up`` and its two servers; made by ``open_platform``."""

    def __init__(self, folder: Path, stage: Stage, speed: float, seed: int, seclusion: Seclusion) -> None:
        super().__init__(folder / "data")
        self.stage = stage
        self.speed = speed
        self.seclusion = seclusion
        self._seed = seed
        self.postgres: Server = start_postgres(folder / "postgres")
        self.redis: Server = start_redis(folder / "redis")
        self._root = folder
        self._database_url = self.postgres.url
        self.tables = Tables(self._database_url)
        self.relay: Relay | None = None
        if stage.relay:
            self.relay = Relay(unquote(urlsplit(self.redis.url).path))
        if stage.small_spool and seclusion.disks:
            seclusion.small_disk(self.folder / "spool", stage.small_spool)
        migrate.upgrade(self._database_url)
        self._up = self._start()

    # --- servers ---

    def start_redis(self) -> None:
        self.redis = start_redis(self.redis_folder)

    def start_postgres(self) -> None:
        self.postgres = start_postgres(self._root / "postgres")

    @property
    def redis_folder(self) -> Path:
        return self._root / "redis"

    # --- processes ---

    @property
    def leader(self) -> int:
        """The pid of ``up``."""
        return self._up.pid

    # --- its life ---

    def await_all(self) -> None:
        """Until every process is ready and every exchange delivers; raises RunFailed."""
        self.until(lambda: all(self.run_of(name) for name in NAMES), "Every process", START_SECONDS)
        self.await_data(START_SECONDS)

    def await_data(self, seconds: float = LIVE_SECONDS) -> None:
        """Until every exchange delivers; raises RunFailed."""
        try:
            self.until(self._all_live, "Data of every exchange", seconds)
        except RunFailed as error:
            raise RunFailed(f"{error}\n{self._ailments()}") from error

    def revive(self) -> None:
        """After a fault that nothing stood against: new connections everywhere. Raises RunFailed."""
        for exchange in EXCHANGES:
            try:
                self.inflict(exchange, "abort")
            except LoopbackError as error:
                raise RunFailed(f"The simulator is not to be reached: {error}") from error
        self.await_data()

    def fall(self) -> None:
        """As a machine does: every process and server ends at once, by SIGKILL."""
        runs = [run for run in read_runs(self.folder) if run.alive]
        self._up.kill()
        for run in runs:
            with suppress(ProcessLookupError):
                os.kill(run.pid, signal.SIGKILL)
        self.redis.kill()
        self.postgres.kill()
        self._up.wait()

    def rise(self) -> None:
        """Start again what ``fall`` ended."""
        self.start_postgres()
        self.start_redis()
        self._up = self._start()

    def order(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Another verb of the program, in this platform's surroundings; its words go where up's go."""
        with (self._root / "up.log").open("ab") as log:
            return subprocess.Popen(
                [PROGRAM, *arguments],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def until(self, true: Callable[[], bool], what: str, seconds: float) -> None:
        """Look again and again; what is away for a moment is simply not true yet. Raises RunFailed."""
        deadline = time.monotonic() + seconds
        while not self._holds(true):
            self.check()
            if time.monotonic() > deadline:
                raise RunFailed(f"{what} did not come within {seconds:.0f} s.\n{self.last_words()}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raises RunFailed where ``up`` has ended by itself."""
        if self._up.poll() not in (None, -signal.SIGKILL):
            raise RunFailed(f"trade-platform up ended with {self._up.returncode}.\n{self.last_words()}")

    def finish(self) -> int:
        """Ctrl-C: the platform drains, stores, proves and ends; its exit code."""
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(END_SECONDS)

    def close(self) -> None:
        """Whatever happened: nothing of ours stays behind."""
        for run in read_runs(self.folder):
            if run.alive:
                os.kill(run.pid, signal.SIGCONT)
        if self._up.poll() is None:
            self._up.terminate()
            try:
                self._up.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._up.kill()
        self.tables.close()
        self.redis.stop()
        self.postgres.stop()
        if self.relay is not None:
            self.relay.__exit__()
        if self.stage.small_spool and self.seclusion.disks:
            self.seclusion.unmount(self.folder / "spool")

    def last_words(self) -> str:
        """The last sentences that ``up`` said, without its screens."""
        lines = (self._root / "up.log").read_text(encoding="utf-8").splitlines()
        said = [line for line in lines if line.startswith(SENTENCES)]
        return "\n".join((said or lines)[-12:])

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATA_FOLDER": str(self.folder),
            "DATABASE_URL": self._database_url,
            "REDIS_URL": self.relay.url if self.relay is not None else self.redis.url,
            "INSTRUMENTS_FILE": str(REPOSITORY / "config" / "instruments.toml"),
            **self.stage.environment,
        }

    def _start(self) -> subprocess.Popen[bytes]:
        command = [PROGRAM, "up", "--simulated", "--speed", str(self.speed), "--seed", str(self._seed)]
        command.append("--no-dagster")
        with (self._root / "up.log").open("ab") as log:
            return subprocess.Popen(
                command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _all_live(self) -> bool:
        return all(
            self.health(f"streamer-{key}").get("ok") and self.mark(key).delivered > 50 for key in EXCHANGES
        )

    def _ailments(self) -> str:
        """What each streamer says of its health."""
        found = []
        for key in EXCHANGES:
            try:
                found.append(f"{key}: {self.health(f'streamer-{key}')}")
            except LoopbackError as error:
                found.append(f"{key}: {error}")
        return "\n".join(found)

    def _holds(self, true: Callable[[], bool]) -> bool:
        try:
            return true()
        except (LoopbackError, psycopg.Error):
            return False


@contextmanager
def open_platform(stage: Stage, speed: float, seed: int, seclusion: Seclusion) -> Iterator[Platform]:
    """Start servers and platform in a temporary folder; stop them and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tp-faults-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user when we are root
    try:
        platform = Platform(folder, stage, speed, seed, seclusion)
        try:
            yield platform
        finally:
            platform.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
