"""Dagster beside a platform that runs: what a run and a tick cost, and how soon an open gap is repaired."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import psycopg

from benchmarks.figures import Count, Figure, Findings, at_most, percentile, void_unless
from benchmarks.observed import Observed
from benchmarks.platform import END_SECONDS, PROGRAM, REPOSITORY, START_SECONDS
from benchmarks.procfs import TICKS
from benchmarks.stage import Part, RunFailed, Stage
from benchmarks.webserver import Automation, DagsterRun, NoAnswer, Webserver
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.exchanges.registry import EXCHANGES

T = TypeVar("T")

CODE: Final = "dagster-code"
DAEMON: Final = "dagster-daemon"
WEB: Final = "dagster-web"
RUNS: Final = 8
GAPS: Final = 10
IDLE_SECONDS: Final = 60.0
WHILES: Final = 6
"""Schedules make runs every few minutes: one while in two or three is without."""
PATIENCE_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 0.1
TRIVIAL: Final = "list_instruments"
"""One asset, one small query: what is left is what Dagster costs."""
FIRST_LINE: Final = "ExecutionStepStartEvent"
"""Said when the first function of ours is about to be called."""
LAST_WORDS: Final = "Process for run exited"
REPAIR: Final = "repair_gaps"
ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
EXCHANGE: Final = "binance_spot"
SKIPPED: Final = 5
"""Trades that the exchange keeps to itself, each time."""

_CLOSED: Final = """
SELECT extract(epoch FROM detected_at)::float8, extract(epoch FROM closed_at)::float8, repaired_by FROM gap
WHERE gap_id = %s AND state = 'repaired'
"""
_NEWEST: Final = "SELECT coalesce(max(gap_id), 0) FROM gap"
_NEXT: Final = "SELECT min(gap_id) FROM gap WHERE gap_id > %s AND first_sequence IS NOT NULL"


class TrivialRun(msgspec.Struct, frozen=True):
    """One run that does next to nothing."""

    first_line: float
    """Seconds from the request until the first line of ours."""
    ended: float
    """Seconds from the request until it has succeeded."""
    cpu_seconds: float
    """Of Dagster from the request until the run's process is gone, rest included."""
    seconds: float
    """How long that was."""


class Idle(msgspec.Struct, frozen=True):
    """Dagster with nothing to do but to look."""

    seconds: float
    cpu_seconds: float
    """Of code server and daemon."""
    code_cpu_seconds: float
    ticks: int
    milliseconds: Sequence[float]
    """How long each tick of a sensor took, the daemon's way to the code server and back included."""


class Orchestrated(Observed):
    """One ``trade-platform up`` with Dagster, on the servers of a part; made by ``orchestrated``."""

    def __init__(self, part: Part) -> None:
        super().__init__(Path(part.environment["DATA_FOLDER"]))
        self._log = self.folder / "up.log"
        environment = {
            **os.environ,
            **part.environment,
            "INSTRUMENTS_FILE": str(REPOSITORY / "config" / "instruments.toml"),
            "WITHOUT": "catch_up",  # a streamer reads again what it missed: here the repair is to do it
            "WEB_PORT": "0",
        }
        with self._log.open("wb") as log:
            self._up = subprocess.Popen(
                [PROGRAM, "up", "--simulated"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        part.stage.cores.release(self._up.pid)

    def web(self) -> Webserver:
        """Once the page is there, its definitions are loaded and every exchange delivers."""
        return Webserver(self.until(self._page, "The web page", START_SECONDS))

    def until(self, found: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
        """Look again and again; what is away for a moment is simply not there yet. Raises RunFailed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._up.poll() is not None:
                raise RunFailed(f"trade-platform up ended with {self._up.returncode}.\n{self._last_words()}")
            try:
                if (answer := found()) is not None and answer is not False:
                    return answer
            except (LoopbackError, NoAnswer, psycopg.Error):
                pass
            time.sleep(LOOK_SECONDS)
        raise RunFailed(f"{what} did not come within {seconds:.0f} s.\n{self._last_words()}")

    def cpu(self, name: str) -> float:
        """User and system time of a process, and of its children that have ended and those that run."""
        return cpu_with_children(self.pid_of(name))

    def finish(self) -> int:
        """Ctrl-C: it drains, proves and ends; its exit code."""
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(END_SECONDS)

    def close(self) -> None:
        """Nothing of ours stays behind."""
        if self._up.poll() is None:
            self._up.terminate()
            try:
                self._up.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._up.kill()

    def _page(self) -> str | None:
        run = self.run_of(WEB)
        if run is None or not all(self.health(f"streamer-{key}").get("ok") for key in EXCHANGES):
            return None
        url = run.urls["page"]["http"]
        return url if Webserver(url).automations(ticks=1) else None

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])


@contextmanager
def orchestrated(part: Part) -> Iterator[Orchestrated]:
    """Start it; stop it afterwards."""
    platform = Orchestrated(part)
    try:
        yield platform
    finally:
        platform.close()


def measure(stage: Stage, *, runs: int = RUNS, gaps: int = GAPS) -> Findings:
    """Idle first, then runs one after the other, then gaps one after the other, on one platform."""
    with stage.part() as part, orchestrated(part) as platform:
        web = platform.web()
        platform.until(lambda: bool(web.runs(limit=1)), "The first runs")
        idle = idling(platform, web)
        trivial = [run_once(platform, web) for _ in range(runs)]
        with psycopg.connect(part.database_url, autocommit=True) as connection:
            latencies = [gap_once(platform, web, connection) for _ in range(gaps)]
        code = platform.finish()
    counts = [Count("Exit code of `up`, which proves that nothing is missing", 0, code)]
    return void_unless(counts, _figures(idle, trivial, latencies))


def idling(platform: Orchestrated, web: Webserver) -> Idle:
    """A while in which nothing is asked of it, and nothing is due. Raises RunFailed where there is none."""
    for _ in range(WHILES):
        platform.until(lambda: not _active(web), "The end of all runs")
        code, both, began = platform.cpu(CODE), spent(platform), time.time()
        time.sleep(IDLE_SECONDS)
        ended = time.time()
        took = ticks_between(web.automations(), began, ended)
        found = Idle(ended - began, spent(platform) - both, platform.cpu(CODE) - code, len(took), took)
        if not any(run.created >= began for run in web.runs(limit=5)):
            return found
    raise RunFailed(f"Dagster did not rest for {IDLE_SECONDS:.0f} s: a run came each time.")


def ticks_between(automations: Sequence[Automation], began: float, ended: float) -> list[float]:
    """Milliseconds of each sensor's ticks in this while."""
    return [
        (tick.ended - tick.began) * 1000
        for one in automations
        if one.kind == "sensor"
        for tick in one.ticks
        if tick.ended is not None and began <= tick.began and tick.ended <= ended
    ]


def run_once(platform: Orchestrated, web: Webserver) -> TrivialRun:
    """From the request to its end. Raises RunFailed where it fails."""
    platform.until(lambda: not _active(web), "The end of other runs")
    before, began = spent(platform), time.monotonic()
    run_id = web.launch(TRIVIAL)
    run = platform.until(lambda: _ended(web, run_id), "The end of a run")
    if run.status != "SUCCESS":
        raise RunFailed(f"The run {run_id} ended as {run.status}: {web.events(run_id)[-1][2]}")
    platform.until(lambda: any(LAST_WORDS in words for *_, words in web.events(run_id)), "The run's process")
    cpu, seconds = spent(platform) - before, time.monotonic() - began
    first = next(at for kind, at, _ in web.events(run_id) if kind == FIRST_LINE)
    return TrivialRun(first - run.created, (run.ended or run.created) - run.created, cpu, seconds)


def cost_of(runs: Sequence[TrivialRun], idle: Idle) -> float:
    """CPU seconds of the middle one, beyond what Dagster takes at rest; a schedule may cross one of them."""
    at_rest = idle.cpu_seconds / idle.seconds
    return statistics.median(one.cpu_seconds - at_rest * one.seconds for one in runs)


def gap_once(platform: Orchestrated, web: Webserver, connection: psycopg.Connection) -> float:
    """Seconds from the moment when a gap stands in the ledger until the run that closed it has ended."""
    before = _one(connection, _NEWEST)
    platform.inflict(EXCHANGE, "skip", symbol="BTCUSDT", channel="trade", count=SKIPPED)
    gap = platform.until(lambda: _one(connection, _NEXT, before), "A gap in the ledger")
    detected, closed, _ = platform.until(
        lambda: connection.execute(_CLOSED, (gap,)).fetchone(), "The end of a gap"
    )
    run = platform.until(lambda: _run_over(web, closed), "The end of its repair")
    return float((run.ended or closed) - detected)


def spent(platform: Orchestrated) -> float:
    """CPU seconds of Dagster so far, without its web page."""
    return platform.cpu(CODE) + platform.cpu(DAEMON)


def cpu_with_children(pid: int) -> float:
    """User and system time of a process, of what it started, and of what it saw end."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    own = sum(map(int, text.rpartition(")")[2].split()[11:15])) / TICKS
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own + sum(cpu_with_children(int(child)) for child in children)


def _active(web: Webserver) -> list[DagsterRun]:
    return web.runs(statuses=["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"])


def _ended(web: Webserver, run_id: str) -> DagsterRun | None:
    run = web.run(run_id)
    return run if run.status in ENDED else None


def _run_over(web: Webserver, closed: float) -> DagsterRun | None:
    """The repair under which a gap was closed at this moment, once it has ended."""
    runs = [one for one in web.runs(pipelineName=REPAIR, limit=5) if (one.started or closed) < closed]
    return next((one for one in runs if one.ended is not None and one.ended >= closed), None)


def _one(connection: psycopg.Connection, query: str, *parameters: object) -> int | None:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return None if row is None else row[0]


def _figures(idle: Idle, trivial: Sequence[TrivialRun], latencies: Sequence[float]) -> list[Figure]:
    minute = 60 / idle.seconds
    watched = f"{idle.seconds:.0f} s at rest, {idle.ticks} ticks of all sensors"
    return [
        Figure(
            work="Dagster: a run that does next to nothing, until its first line",
            value=statistics.median(one.first_line for one in trivial), unit="s",
            how=f"{len(trivial)} runs of one small query, one after the other, from the request on; median",
        ),
        Figure(
            work="the same, until it has succeeded", value=statistics.median(one.ended for one in trivial),
            unit="s", how="the same runs",
        ),
        Figure(
            work="the same: CPU", value=cost_of(trivial, idle), unit="s/run",
            how="code server, the run's process and daemon, less what they take at rest; median",
        ),
        Figure(
            work="Dagster: tick of a sensor, middle", value=percentile(idle.milliseconds, 50), unit="ms",
            how=f"{watched}; as its daemon takes it, the way to the code server included",
        ),
        Figure(
            work="the same: CPU in the code server", unit="ms/tick",
            value=idle.code_cpu_seconds * 1000 / max(idle.ticks, 1),
            how="all that it took meanwhile, per tick",
        ),
        Figure(work="Dagster: ticks at rest", value=idle.ticks * minute, unit="/min", how=watched),
        Figure(
            work="Dagster at rest: CPU", value=idle.cpu_seconds / idle.seconds * 100, unit="% of a core",
            how="code server and daemon",
        ),
        Figure(
            work="gap: open → its repair has ended, middle", value=statistics.median(latencies), unit="s",
            reach=at_most(30),
            how=f"{len(latencies)} gaps of {SKIPPED} trades, one after the other; the first 10 s are the "
            "streamer's own",
        ),
        Figure(work="the same, longest", value=max(latencies), unit="s", how="the same"),
    ]  # fmt: skip
