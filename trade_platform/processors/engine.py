"""The loop of one stream: own it, read, commit, and again; through every outage of either server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Final

import psycopg
import structlog
from redis import RedisError

from trade_platform.adapters.clock import Clock
from trade_platform.adapters.database.books import Owner, find_owner
from trade_platform.adapters.database.connection import (
    ClockBehind,
    Connection,
    SchemaBehind,
    connect,
    passes_by_itself,
    sentence,
)
from trade_platform.adapters.database.ownership import try_to_own, wait_to_own
from trade_platform.adapters.database.positions import PositionMoved
from trade_platform.adapters.database.revision import check_revision
from trade_platform.adapters.database.roles import ACCOUNTS, become
from trade_platform.adapters.holdings import Held
from trade_platform.adapters.metrics import Health
from trade_platform.domain.defences import Defence
from trade_platform.processors.books import BooksDrain
from trade_platform.processors.drain import Drain
from trade_platform.processors.meters import Meters
from trade_platform.processors.outage import Outage
from trade_platform.processors.plan import Plan

RIVAL: Final = "40"
"""Class of the SQL states that say: the same transaction, again."""
STUCK_SECONDS: Final = 60.0
"""A loop that has not turned for so long is ill."""


class Engine:
    """Runs in a thread of its own; ``stopping`` ends it after the transaction in hand."""

    def __init__(self, plan: Plan, clock: Clock, meters: Meters, ready: Callable[[], None]) -> None:
        self._plan = plan
        self._clock = clock
        self._meters = meters
        self._ready = ready
        self._log = structlog.get_logger().bind(stream=plan.stream)
        self._database = Outage("PostgreSQL")
        self._redis = Outage("Redis")
        self._wrong_clock = Outage("The clock")
        self._drain: Drain | None = None
        self._turned = time.monotonic()
        self._role = "starting"
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until ``stopping``; raises only what no waiting can heal."""
        while not self.stopping.is_set():
            self._turned = time.monotonic()
            try:
                with closing(self._connect()) as connection:
                    self._serve(connection)
            except (psycopg.Error, PositionMoved, SchemaBehind) as error:
                if not _heals(error) or Defence.RECONNECTION in self._plan.without:
                    raise
                self._meters.outages.inc()
                self._role = "waiting"
                self._meters.owner.set(0)
                self.stopping.wait(self._database.begins(sentence(error)))

    def health(self) -> Health:
        """For /healthz; asked from another thread."""
        reason = self._database.reason or self._redis.reason or self._wrong_clock.reason
        silent = time.monotonic() - self._turned
        if not reason and silent > STUCK_SECONDS:
            reason = f"the loop has not turned for {silent:.0f} s"
        details: dict[str, str | float | bool | None] = {"stream": self._plan.stream, "role": self._role}
        if self._drain is not None:
            details |= {"position": self._drain.lane.position, "lag_seconds": self._drain.lag_seconds}
        return Health(ok=not reason, reason=reason, details=details)

    def _connect(self) -> Connection:
        plan = self._plan
        return connect(plan.database_url, name=plan.process_name, synchronous_commit=plan.synchronous_commit)

    def _serve(self, connection: Connection) -> None:
        check_revision(connection)
        owner = self._step_down(connection)
        if not self._own(connection):
            return
        with closing(self._begin(connection, owner)) as drain:
            self._drain = drain
            self._database.ends()
            while not self.stopping.is_set():
                self._turned = time.monotonic()
                try:
                    drain.turn()
                except psycopg.OperationalError as error:
                    self._again(connection, drain, error)
                except (RedisError, OSError) as error:
                    self._meters.outages.inc()
                    drain.lost_redis()
                    self.stopping.wait(self._redis.begins(sentence(error)))
                except ClockBehind as error:
                    self._redis.ends()
                    self.stopping.wait(self._wrong_clock.begins(sentence(error)))
                else:
                    self._database.ends()
                    self._redis.ends()
                    self._wrong_clock.ends()
            with suppress(RedisError, OSError, ClockBehind):  # a cache: what Redis does not take now, expires
                drain.finish()

    def _step_down(self, connection: Connection) -> Owner | None:
        """Who touches private rows gives up what could pass row-level security, before anything else."""
        if not self._plan.account:
            return None
        owner = find_owner(connection, self._plan.account)
        become(connection, ACCOUNTS)
        return owner

    def _begin(self, connection: Connection, owner: Owner | None) -> Drain:
        if owner is None:
            return Drain(self._plan, connection, self._clock, self._meters)
        return BooksDrain(self._plan, connection, self._clock, self._meters, owner)

    def _again(self, connection: Connection, drain: Drain, error: psycopg.OperationalError) -> None:
        """The transaction failed and the connection stands: the stream stays ours, and it is tried again.

        A rival won (deadlock, serialization): at once. The disk is full, a statement took too long: after a
        while, and health says why. Raises the error where the connection is gone.
        """
        helpless = Defence.RECONNECTION in self._plan.without
        if connection.closed or helpless or not passes_by_itself(error):
            raise error
        if (error.sqlstate or "").startswith(RIVAL):
            self._log.info("A transaction gave way to another; it is repeated.", reason=sentence(error))
        else:
            self._meters.outages.inc()
            self.stopping.wait(self._database.begins(sentence(error)))
        drain.reload()

    def holdings(self) -> Iterator[Held]:
        """What the owner's work remembers; asked from another thread."""
        if self._drain is not None:
            yield from self._drain.holdings()

    def _own(self, connection: Connection) -> bool:
        """The stream is ours; False when asked to stop before it was."""
        if not try_to_own(connection, self._plan.stream):
            self._role = "standby"
            self._log.info("Another process owns this stream; standing by.")
            self._database.ends()
            self._ready()
            if not wait_to_own(connection, self._plan.stream, self._still_standing_by):
                return False
        self._role = "owner"
        self._meters.owner.set(1)
        self._log.info("This process owns the stream.")
        self._ready()
        return True

    def _still_standing_by(self) -> bool:
        self._turned = time.monotonic()
        return self.stopping.is_set()


def _heals(error: Exception) -> bool:
    """Waiting may help: a server that is away, a schema to come, a partition that retention dropped."""
    return isinstance(
        error, PositionMoved | SchemaBehind | psycopg.errors.UndefinedTable
    ) or passes_by_itself(error)
