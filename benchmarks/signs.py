"""What shows that a fault happened, and by what the platform noticed it: readings of counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.loopback import Reading, add_up
from benchmarks.platform import Platform

Look: TypeAlias = Callable[[Platform, str], Reading]
"""Of an exchange; raises LoopbackError or psycopg.Error where it cannot be had now."""


def endings(platform: Platform, exchange: str) -> Reading:
    """Connections that ended, by the streamer's own reason."""
    samples = platform.metrics(f"streamer-{exchange}")
    return add_up(samples, "streamer_reconnects_total", lambda labels: f"reconnect: {labels['reason']}")


def read_again(platform: Platform, exchange: str) -> Reading:
    samples = platform.metrics(f"streamer-{exchange}")
    return add_up(samples, "streamer_catch_up_trades_total", lambda _: "hole found, read again")


def held_already(platform: Platform, exchange: str) -> Reading:
    samples = platform.metrics(f"processor-market-{exchange}")
    return add_up(samples, "processor_duplicates_total", lambda _: "repeats absorbed")


def redis_away(platform: Platform, exchange: str) -> Reading:
    health = platform.health(f"streamer-{exchange}")
    return {"streamer: Redis away": float(health["details"]["redis"] != "ok")}


def postgres_away(platform: Platform, exchange: str) -> Reading:
    health = platform.health(f"processor-market-{exchange}")
    return {"processor: PostgreSQL away": float("PostgreSQL" in str(health["reason"]))}


def gap_rows(platform: Platform, exchange: str) -> Reading:
    return {f"gap rows: {reason}": count for reason, count in platform.gaps(exchange).items()}


def heard(phrase: str) -> Look:
    """What the streamer heard on the wire, as it logged it: a close code, an HTTP status."""

    def look(platform: Platform, exchange: str) -> Reading:
        log = platform.log_of(f"streamer-{exchange}")
        return {f"on the wire: {phrase}": float(log.count(phrase))}

    return look


def goodbye(platform: Platform, exchange: str) -> Reading:
    """A notice before the close, where the exchange gives one; else the close."""
    return {**heard("close code 1001")(platform, exchange), **state_rows(platform, exchange)}


def state_rows(platform: Platform, exchange: str) -> Reading:
    return {f"state row: {status}": count for status, count in platform.states(exchange).items()}


def processes(*names: str) -> Look:
    """Counts a process that is another one than before; pids grow, or wrap once in a lifetime."""

    def look(platform: Platform, target: str) -> Reading:
        runs = (platform.run_of(name.format(target)) for name in names)
        return {f"new pid {run.pid}": 1.0 for run in runs if run is not None}

    return look


def ended(name: str) -> Look:
    """Counts that ``up`` saw its end: it takes away the run file when it starts the next."""

    def look(platform: Platform, target: str) -> Reading:
        gone = not (platform.folder / "run" / f"{name.format(target)}.json").exists()
        return {"up: starts it again": float(gone), **processes(name)(platform, target)}

    return look


class Stillness:
    """Counts when an exchange has delivered nothing for some looks, though its market went on."""

    LOOKS: Final = 8

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._still: Counter[str] = Counter()

    def __call__(self, platform: Platform, exchange: str) -> Reading:
        delivered = platform.mark(exchange).delivered
        self._still[exchange] = self._still[exchange] + 1 if self._last.get(exchange) == delivered else 0
        self._last[exchange] = delivered
        return {f"simulator: {self.LOOKS} looks, none delivered": float(self._still[exchange] >= self.LOOKS)}


def stopped(platform: Platform, _target: str) -> Reading:
    """The kernel says so."""
    stat = Path(f"/proc/{platform.pid_of('simulator')}/stat").read_text(encoding="utf-8")
    return {"kernel: simulator stopped": float(stat.rpartition(")")[2].split()[0] == "T")}


def server_gone(server: str) -> Look:
    def look(platform: Platform, _target: str) -> Reading:
        process = platform.redis if server == "redis" else platform.postgres
        return {f"{process.name} pid {process.pid} ended": float(not process.alive)}

    return look
