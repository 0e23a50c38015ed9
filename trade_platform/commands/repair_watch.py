"""``gaps repair --watch``: the process of the platform that works on the ledger of gaps.

It rolls candles up, too: both are Dagster's work where Dagster runs, and this process's where it does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import psycopg
import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
from redis import RedisError

from trade_platform.adapters import logs
from trade_platform.adapters.database.connection import Connection, SchemaBehind, passes_by_itself, sentence
from trade_platform.adapters.database.gaps import Filter, open_counts, try_to_lead
from trade_platform.adapters.holdings import Held, Holdings
from trade_platform.adapters.process import Health, RunFile, die_with_parent, serve_health, stop_event
from trade_platform.domain.gaps import State
from trade_platform.operations.candles import refresh_all
from trade_platform.operations.desk import MOST_ASKED, Desk, NotStored
from trade_platform.operations.repair import Repaired, repair
from trade_platform.processors.outage import Outage
from trade_platform.repair_desk import desk_from, open_database
from trade_platform.settings import Settings

NAME: Final = "repair"
LOOK_SECONDS: Final = 2.0
"""Between two passes where nothing happened."""
BUSY_SECONDS: Final = 0.25
STANDBY_SECONDS: Final = 2.0
FIND_SECONDS: Final = 10.0
"""How often coverage is searched for holes that nobody noted."""
ROLL_SECONDS: Final = 60.0
"""How often wider candles are made of what changed."""
STUCK_SECONDS: Final = 300.0

log = structlog.get_logger()


class RepairMeters:
    """What the process counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge("gaps_open", "Open gaps", ["exchange", "reason"], registry=registry)
        self.repaired = Counter("gaps_repaired", "Gaps closed by proof", ["source"], registry=registry)
        self.unrepairable = Counter("gaps_unrepairable", "Gaps given up", registry=registry)
        self.found = Counter("gaps_found", "Holes in coverage that nobody had noted", registry=registry)
        self.attempts = Counter(
            "gap_repair_attempts", "Gaps that a source was asked about", registry=registry
        )
        self.records = Counter("gap_repair_records", "Trades and candles read again", registry=registry)
        self.oldest = Gauge("gap_oldest_open_seconds", "Age of the oldest open gap", registry=registry)
        self.leader = Gauge(
            "gap_repair_leader", "1: this process repairs; 0: it stands by", registry=registry
        )

    def count(self, outcome: Repaired) -> None:
        """A pass is over."""
        for one in outcome.closed:
            if one.state is State.REPAIRED:
                self.repaired.labels(one.by).inc()
            else:
                self.unrepairable.inc()
        self.found.inc(outcome.found)
        self.attempts.inc(outcome.attempts)
        self.records.inc(outcome.records)

    def look(self, connection: Connection) -> None:
        """The ledger as it stands."""
        counts, oldest = open_counts(connection)
        self.open.clear()
        for (exchange, reason), count in counts.items():
            self.open.labels(exchange, reason).set(count)
        self.oldest.set(oldest)


class Watch:
    """Passes, one after the other, through every outage of either server."""

    def __init__(
        self, settings: Settings, only: Filter, days: int, stop: asyncio.Event, meters: RepairMeters
    ) -> None:
        self._settings = settings
        self._only = only
        self._days = days
        self._stop = stop
        self._meters = meters
        self._database = Outage("PostgreSQL")
        self._redis = Outage("Redis")
        self._unstored = Outage("The bus")
        self._role = "starting"
        self._said_standby = False
        self._turned = time.monotonic()
        self._desk: Desk | None = None
        self._find_at = self._roll_at = 0.0

    def holdings(self) -> Iterator[Held]:
        """What outlives a pass; a pass itself takes up a bounded number of gaps."""
        asked = 0 if self._desk is None else len(self._desk.asked)
        yield Held("asked_instruments", asked, MOST_ASKED)

    def health(self) -> Health:
        """For /healthz."""
        reason = self._database.reason or self._redis.reason or self._unstored.reason
        turned = self._turned if self._desk is None else max(self._turned, self._desk.turned)
        silent = time.monotonic() - turned
        if not reason and silent > STUCK_SECONDS:
            reason = f"the loop has not turned for {silent:.0f} s"
        return Health(ok=not reason, reason=reason, details={"role": self._role})

    async def run(self) -> None:
        """Until the stop; raises only what no waiting can heal."""
        while not self._stop.is_set():
            self._turned = time.monotonic()
            try:
                connection = await asyncio.to_thread(open_database, self._settings, self._name)
                with closing(connection):
                    await self._serve(connection)
            except (psycopg.Error, SchemaBehind) as error:
                if not isinstance(error, SchemaBehind) and not passes_by_itself(error):
                    raise
                self._meters.leader.set(0)
                await self._pause(self._database.begins(sentence(error)))

    @property
    def _name(self) -> str:
        return self._settings.process_name or NAME

    async def _serve(self, connection: Connection) -> None:
        if not await self._lead(connection):
            return
        async with desk_from(self._settings, connection, self._stop) as desk:
            self._desk = desk
            while not self._stop.is_set():
                self._turned = time.monotonic()
                await self._pause(await self._turn(desk))

    async def _lead(self, connection: Connection) -> bool:
        """Wait until nobody else repairs; False where it is to stop before."""
        while not await asyncio.to_thread(try_to_lead, connection):
            self._database.ends()
            self._turned = time.monotonic()
            if self._role != "standby":
                log.info("Another process repairs; standing by.")
                self._role = "standby"
            if await self._pause(STANDBY_SECONDS):
                return False
        self._database.ends()
        if self._role != "leader":
            log.info("This process repairs what is missing.")
        self._role = "leader"
        self._meters.leader.set(1)
        return True

    async def _turn(self, desk: Desk) -> float:
        """One pass; returns how long to wait before the next."""
        find = time.monotonic() >= self._find_at
        try:
            outcome = await repair(
                desk,
                only=self._only,
                find_days=self._days if find else 0,
                without=self._settings.without,
            )
        except (RedisError, OSError) as error:
            return self._redis.begins(sentence(error))
        except NotStored as error:
            return self._unstored.begins(str(error))
        self._redis.ends()
        self._unstored.ends()
        if find:
            self._find_at = time.monotonic() + FIND_SECONDS
        self._meters.count(outcome)
        await desk.ask(self._meters.look)
        if time.monotonic() >= self._roll_at:
            await desk.ask(refresh_all, now=desk.clock.market())
            self._roll_at = time.monotonic() + ROLL_SECONDS
        _tell(outcome)
        return BUSY_SECONDS if outcome.records or outcome.found else LOOK_SECONDS

    async def _pause(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _tell(outcome: Repaired) -> None:
    repaired = sum(one.state is State.REPAIRED for one in outcome.closed)
    given_up = [one.gap for one in outcome.closed if one.state is State.UNREPAIRABLE and one.gap.first]
    if repaired or outcome.found:
        log.info("Gaps were closed.", repaired=repaired, found=outcome.found, records=outcome.records)
    for gap in given_up[:10]:
        log.error(
            "Trades are lost.", exchange=gap.exchange, symbol=gap.symbol, first=gap.first, last=gap.last
        )


async def watch(settings: Settings, only: Filter, days: int) -> int:
    """Run until SIGTERM; 0 after a graceful stop. Raises CannotStart, PortTaken."""
    name = settings.process_name or NAME
    logs.configure(settings.log_level, settings.log_format, name)
    if settings.parent_pid:
        die_with_parent(settings.parent_pid)
    stop = stop_event()
    if settings.without:
        log.warning("Defences are left out, for a rehearsal.", without=sorted(settings.without))
    one = Watch(settings, only, days, stop, RepairMeters(REGISTRY))
    Holdings(REGISTRY).add(one.holdings)
    async with await serve_health(settings.metrics_port, one.health) as server:
        with RunFile(settings.data_folder, name, metrics=server.url):
            await one.run()
            log.info("The repair has stopped.")
    return 0
