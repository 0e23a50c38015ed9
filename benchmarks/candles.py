"""A day of one symbol's trades → 1m, 5m, 15m, 1h, 4h, 1d: the platform, beside pandas on the same table."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from benchmarks.candle_day import fill, size_of_day
from benchmarks.candle_makers import RULES, Made
from benchmarks.figures import Count, Figure, Findings, at_most, void_unless
from benchmarks.procfs import private_memory_of_children
from benchmarks.stage import RunFailed, Stage

LOOK_SECONDS: Final = 0.01
MAKE_SECONDS: Final = 600.0
TOLERANCE: Final = 1e-9
"""Relative; what floats may differ from exact sums."""


class Taken(msgspec.Struct, frozen=True):
    """What one maker took."""

    made: Made
    server_megabytes: float
    """Private memory of PostgreSQL's processes beyond what they had before, at its peak."""

    @property
    def megabytes(self) -> float:
        return self.made.peak_megabytes + self.server_megabytes


def measure(stage: Stage, *, trades: int) -> Findings:
    """Pandas first: what the server caches then is the same for all."""
    with stage.part() as part, _every_core(stage):
        instrument_id = fill(part.database_url, trades)
        size = size_of_day(part.database_url)
        naive, fair, ours = (
            _make(who, part.database_url, instrument_id, stage.postgres.pid)
            for who in ("naive", "fair", "ours")
        )
    counted = int(sum(row[-1] for row in ours.made.candles["1d"]))
    counts = [Count("Trades in the candles of the day", trades, counted)]
    for interval in RULES:
        differ = differing(ours.made, naive.made, interval)
        counts.append(Count(f"{interval} candles that are not those of pandas", 0, differ))
        differ = differing(fair.made, naive.made, interval)
        counts.append(Count(f"{interval} candles that differ between two ways of pandas", 0, differ))
    return void_unless(counts, _figures(trades, size, ours, naive, fair))


def differing(one: Made, other: Made, interval: str) -> int:
    """Candles of which a field differs by more than floats do, or which only one has."""
    mine, theirs = one.candles[interval], other.candles[interval]
    wrong = sum(
        not all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(row, row_of_other, strict=True))
        for row, row_of_other in zip(mine, theirs, strict=False)
    )
    return wrong + abs(len(mine) - len(theirs))


def _make(who: str, url: str, instrument_id: int, server: int) -> Taken:
    """In a process of its own, watching the server's memory meanwhile."""
    command = [sys.executable, "-m", "benchmarks.candle_makers", who, url, str(instrument_id)]
    with _watched(server) as peak:
        done = subprocess.run(command, capture_output=True, timeout=MAKE_SECONDS, check=False)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise RunFailed(f"The candles ({who}) were not made: {words[-1] if words else done.returncode}")
    return Taken(msgspec.json.decode(done.stdout, type=Made), max(peak) - peak[0])


@contextmanager
def _watched(server: int) -> Iterator[list[float]]:
    """Samples of the private memory of the server's processes, the first from before."""
    samples = [private_memory_of_children(server)]
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            samples.append(private_memory_of_children(server))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield samples
    finally:
        over.set()
        watcher.join()


@contextmanager
def _every_core(stage: Stage) -> Iterator[None]:
    """Nothing is pinned here: the server may use all cores for one query, and so may pandas."""
    before = os.sched_getaffinity(0)
    for pid in (0, stage.postgres.pid):
        stage.cores.release(pid)
    try:
        yield
    finally:
        for pid in (0, stage.postgres.pid):
            os.sched_setaffinity(pid, before)


def _figures(trades: int, size: int, ours: Taken, naive: Taken, fair: Taken) -> list[Figure]:
    day = f"{trades:,} trades of one symbol, {size:,} MB in PostgreSQL"
    return [
        Figure(
            work="candles: a day of trades → 1m to 1d", value=ours.made.seconds, unit="s",
            limit=naive.made.seconds, limit_is="pandas: read_sql + resample, floats, nothing stored",
            reach=at_most(naive.made.seconds / 5), gate=at_most(0.25),
            how=f"{day}; exact, judged, stored; connection included, no process pinned",
        ),
        Figure(
            work="the same, beside pandas at its best", value=ours.made.seconds, unit="s",
            limit=fair.made.seconds, limit_is="COPY of floats, read_csv by pyarrow, resample; nothing stored",
            how="the same day",
        ),
        Figure(
            work="candles: peak memory", value=ours.megabytes, unit="MB",
            limit=naive.megabytes, limit_is="pandas: read_sql + resample",
            reach=at_most(naive.megabytes / 10),
            how=f"VmHWM of the process ({ours.made.peak_megabytes:.0f}) + private memory of PostgreSQL's "
            f"({ours.server_megabytes:.0f}), sampled every {LOOK_SECONDS * 1000:.0f} ms",
        ),
        Figure(
            work="the same, beside pandas at its best", value=ours.megabytes, unit="MB",
            limit=fair.megabytes, limit_is="COPY of floats, read_csv by pyarrow, resample",
            how="the same day",
        ),
        Figure(
            work="candles: the same day once more", value=ours.made.again_seconds, unit="s",
            how="nothing changed, nothing is written",
        ),
    ]  # fmt: skip
