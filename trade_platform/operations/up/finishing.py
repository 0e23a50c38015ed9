"""The end of a run: stop the market, drain each stage into the next, prove."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import psycopg
import redis

from trade_platform.adapters.database.gaps import Filter, LedgerGap, open_gaps
from trade_platform.domain.defences import Defence
from trade_platform.domain.gaps import are_over, minutes_of, pause_seconds, was_answered
from trade_platform.domain.model import Channel
from trade_platform.operations.status import read_streams
from trade_platform.operations.up.plan import Outcome
from trade_platform.operations.up.processes import Processes, children_of
from trade_platform.operations.verify import Verification, verify

SETTLE_SECONDS = 15.0
REPAIR_SECONDS = 30.0
FEW_ATTEMPTS = 2
"""A second answer may have what the first did not, and is a matter of seconds."""
DRAIN_SECONDS = 120.0
PROVE_SECONDS = 60.0
"""For a database that went away to come back for the proof."""


def finish(processes: Processes) -> Outcome:
    """Whatever dies meanwhile is started again, and asked again."""
    return _Finish(processes).run()


class _Finish:
    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._pause = threading.Event()
        self._said = ""

    def run(self) -> Outcome:
        processes = self._processes
        processes.end_dagster()
        processes.display.say("stopping: the market first, then what carries it")
        processes.pause_market()
        self._settle()
        processes.end_reconciling()
        processes.end(children_of(processes.streamers))
        if self._drain():
            self._repair()
        processes.end(children_of(processes.repair))
        drained = self._drain()
        processes.end(children_of(processes.processors))
        processes.show()
        processes.display.say("verifying")
        verification = self._prove()
        processes.end([one for one in (processes.vault, processes.simulator) if one is not None])
        return Outcome(verification=verification, drained=drained, clean=processes.clean)

    def _settle(self) -> None:
        """A market that stands still can be caught up with: whoever was just away asks what it missed.

        A real market goes on; what is unsettled then, the next run finds by the numbers that are kept.
        """
        processes = self._processes
        deadline = time.monotonic() + (SETTLE_SECONDS if processes.simulated else 0.0)
        while time.monotonic() < deadline and not all(map(_settled, processes.streamers_say())):
            processes.keep_alive(*processes.lanes, processes.vault)
            self._pause.wait(0.1)

    def _repair(self) -> None:
        """What is still open of a market that stands still can be had: the proof waits for it.

        Not for what was asked for and is not there, nor for what is tried again only later. A real market's
        is left to the next run.
        """
        processes = self._processes
        patience = 0.0 if Defence.REPAIR in processes.surroundings.without else REPAIR_SECONDS
        deadline = time.monotonic() + (patience if processes.simulated else 0.0)
        if not processes.repair and time.monotonic() < deadline:
            self._repair_once(deadline)
        while time.monotonic() < deadline and self._has_prospects(deadline):
            processes.start_repair()
            processes.keep_alive(*processes.processors, *processes.repair)
            self._pause.wait(0.2)

    def _repair_once(self, deadline: float) -> None:
        """Dagster had gaps repaired so far; what it had not come to, or nobody noticed yet, is done now."""
        child = self._processes.start_last_repair()
        while child.exited() is None and time.monotonic() < deadline:
            self._processes.keep_alive(*self._processes.processors)
            self._pause.wait(0.05)
        child.terminate()
        child.wait(REPAIR_SECONDS)

    def _has_prospects(self, deadline: float) -> bool:
        only, after = Filter(exchanges=self._processes.options.exchanges), 0
        clock, seconds = self._processes.surroundings.clock, deadline - time.monotonic()
        market_time = time.time_ns() // 1000 if clock is None else clock.at(deadline)
        try:
            with self._processes.connections() as (connection, _):
                while page := open_gaps(connection, after=after, only=only):
                    after = page[-1].gap_id
                    if any(has_prospects(gap, market_time, seconds) for gap in page):
                        return True
        except psycopg.Error as error:
            self._note(error)
            return True
        return False

    def _drain(self) -> bool:
        """Until everything is stored; a server that goes away meanwhile is waited for."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self._stored():
            self._processes.keep_alive(*self._processes.processors, *self._processes.repair)
            if time.monotonic() > deadline:
                self._processes.display.say(
                    "not everything could be stored in time; it stays in Redis for the next run"
                )
                return False
            self._pause.wait(0.05)
        return True

    def _stored(self) -> bool:
        try:
            with self._processes.connections() as (connection, bus):
                return all(stream.stored for stream in read_streams(connection, bus))
        except (psycopg.Error, redis.RedisError) as error:
            self._note(error)
            return False

    def _prove(self) -> Verification:
        """Begun anew where the database went away in the middle of it."""
        deadline = time.monotonic() + PROVE_SECONDS
        while True:
            try:
                with self._processes.connections() as (connection, _):
                    return verify(connection, self._processes.folder)
            except psycopg.Error as error:
                if time.monotonic() > deadline:
                    raise
                self._note(error)
            self._processes.keep_alive()
            self._pause.wait(0.5)

    def _note(self, error: Exception) -> None:
        """Once, not at every try."""
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        if first != self._said:
            self._said = first
            self._processes.display.say(f"a server is away, and waited for: {first}")


def has_prospects(gap: LedgerGap, market_time: int, seconds: float) -> bool:
    """It may be closed within so many seconds; ``market_time``: what time it is in the market then."""
    if gap.channel is Channel.CANDLE and not are_over(minutes_of(gap.since, gap.until), market_time):
        return False
    if gap.attempts < FEW_ATTEMPTS:
        return True
    waited = gap.attempted_seconds_ago or 0.0
    return not was_answered(gap.verdict) and pause_seconds(gap.attempts) - waited < seconds


def _settled(health: Mapping[str, object]) -> bool:
    details = health.get("details")
    return isinstance(details, dict) and not details.get("unsettled") and not details.get("connections_down")
