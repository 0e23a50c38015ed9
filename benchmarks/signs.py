"""What shows that a fault happened, and by what the platform noticed it: readings of counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.loopback import Reading, add_up
from benchmarks.platform import Platform
from trade_platform.adapters.bus import market_stream

Look: TypeAlias = Callable[[Platform, str], Reading]
"""Of an exchange; raises LoopbackError or psycopg.Error where it cannot be had now."""


def nothing_grows(_platform: Platform, _exchange: str) -> Reading:
    return {}


def either(*looks: Look) -> Look:
    """Whichever grows first."""
    return lambda platform, exchange: {
        word: count for look in looks for word, count in look(platform, exchange).items()
    }


# --- the simulator ---


def simulated(fault: str) -> Look:
    """How often the simulator did it: frames withheld, closes sent, answers refused."""

    def look(platform: Platform, exchange: str) -> Reading:
        return {f"simulator: {fault}": float(platform.simulator(exchange)["faults"].get(fault, 0))}

    return look


def connections(platform: Platform, exchange: str) -> Reading:
    """Accepted by the exchange so far."""
    return {"simulator: connections accepted": float(platform.simulator(exchange)["connections"]["accepted"])}


def limits_broken(platform: Platform, exchange: str) -> Reading:
    """Requests and messages beyond the published limits, as the exchange counts them."""
    state = platform.simulator(exchange)
    words = ("weight_exceeded", "messages_exceeded", "credits_exceeded", "streams_exceeded")
    beyond = {f"simulator: {word}": float(state[word]) for word in words}
    return beyond | {"simulator: connections exceeded": float(state["connections"]["exceeded"])}


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


# --- the streamer ---


def endings(platform: Platform, exchange: str) -> Reading:
    """Connections that ended, by the streamer's own reason."""
    return of_streamer("streamer_reconnects_total", lambda labels: f"reconnect: {labels['reason']}")(
        platform, exchange
    )


def ended_as(*reasons: str) -> Look:
    """Connections that ended for one of these reasons."""

    def look(platform: Platform, exchange: str) -> Reading:
        counted = endings(platform, exchange)
        return {word: counted.get(word, 0.0) for word in (f"reconnect: {reason}" for reason in reasons)}

    return look


def of_streamer(name: str, word: Callable[[dict[str, str]], str] | str) -> Look:
    """A counter of the streamer, by what ``word`` makes of its labels."""

    def look(platform: Platform, exchange: str) -> Reading:
        said = word if callable(word) else (lambda _: word)
        return add_up(platform.metrics(f"streamer-{exchange}"), name, said)  # type: ignore[arg-type]

    return look


def of_processor(name: str, word: str) -> Look:
    def look(platform: Platform, exchange: str) -> Reading:
        return add_up(platform.metrics(f"processor-market-{exchange}"), name, lambda _: word)

    return look


read_again: Final = of_streamer("streamer_catch_up_trades_total", "hole found, read again")
tolerated: Final = of_streamer("streamer_ignored_total", lambda labels: f"tolerated: {labels['type']}")
held_already: Final = of_processor("processor_duplicates_total", "repeats absorbed")
repeated: Final = of_processor("processor_repeated_entries_total", "entry that came again, ignored")


def redis_away(platform: Platform, exchange: str) -> Reading:
    health = platform.health(f"streamer-{exchange}")
    return {"streamer: Redis away": float(health["details"]["redis"] != "ok")}


def postgres_away(platform: Platform, exchange: str) -> Reading:
    health = platform.health(f"processor-market-{exchange}")
    return {"processor: PostgreSQL away": float("PostgreSQL" in str(health["reason"]))}


def heard(*phrases: str) -> Look:
    """What the streamer heard on the wire, as it logged it: a close code, an HTTP status."""

    def look(platform: Platform, exchange: str) -> Reading:
        log = platform.log_of(f"streamer-{exchange}")
        return {f"on the wire: {phrase}": float(log.count(phrase)) for phrase in phrases}

    return look


# --- tables ---


def gap_rows(platform: Platform, exchange: str) -> Reading:
    return {f"gap rows: {reason}": count for reason, count in platform.tables.gaps(exchange).items()}


def state_rows(platform: Platform, exchange: str) -> Reading:
    return {f"state row: {status}": count for status, count in platform.tables.states(exchange).items()}


def state_exits(platform: Platform, exchange: str) -> Reading:
    """Both rows of a state, its entry and its exit."""
    return {"state rows: entry and exit": float(platform.tables.exits(exchange))}


def dead_letters(platform: Platform, exchange: str) -> Reading:
    query = "select count(*) from dead_letter where stream = %s"
    return {"dead letters": platform.tables.count(query, market_stream(exchange))}


# --- processes and servers ---


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


def begun_anew(name: str) -> Look:
    """Counts that a process ended over a fault that is none of its own, and had to be started again."""

    def look(platform: Platform, target: str) -> Reading:
        run = platform.run_of(name.format(target))
        return {f"it ended, new pid {run.pid}": 1.0} if run is not None else {}

    return look


def stopped(name: str) -> Look:
    """The kernel says that it stands still."""

    def look(platform: Platform, target: str) -> Reading:
        pid = platform.pid_of(name.format(target))
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return {"kernel: it is stopped": float(stat.rpartition(")")[2].split()[0] == "T")}

    return look


def vanished(platform: Platform, target: str) -> Reading:
    """Packets that the network swallowed; else that the simulator stood still behind its kernel."""
    if platform.seclusion.network:
        return {"kernel: packets dropped": platform.seclusion.vanished}
    word, count = next(iter(stopped("simulator")(platform, target).items()))
    return {f"{word} (its kernel still acknowledges)": count}


def server_gone(server: str) -> Look:
    def look(platform: Platform, _target: str) -> Reading:
        process = platform.redis if server == "redis" else platform.postgres
        return {f"{process.name} pid {process.pid} ended": float(not process.alive)}

    return look
