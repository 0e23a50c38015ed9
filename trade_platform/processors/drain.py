"""One owner's work on one stream: read, commit, close minutes, show the latest, trim."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import msgspec
import structlog
from redis.exceptions import ResponseError

from trade_platform.adapters.clock import Clock
from trade_platform.adapters.database.connection import REFUSALS, Connection, sentence
from trade_platform.adapters.database.events import write_gaps
from trade_platform.adapters.database.partitions import ensure_ahead
from trade_platform.adapters.database.positions import (
    BEGINNING,
    forget_producers,
    load_producers,
    make_durable,
    move_position,
)
from trade_platform.adapters.database.times import day_of
from trade_platform.adapters.holdings import Held
from trade_platform.adapters.redis_reader import (
    Fields,
    Read,
    StreamReader,
    comes_before,
    connect_redis,
    milliseconds_of,
)
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Gap, GapReason
from trade_platform.processors.apply import Applied, apply, close_due, refresh_running
from trade_platform.processors.isolation import isolate
from trade_platform.processors.lane import Lane
from trade_platform.processors.latest import Latest
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan
from trade_platform.processors.reading import Reading, read_entry, refused_whole
from trade_platform.processors.wrong_clock import check_clock

PATIENCE_SECONDS: Final = 0.25
"""Longest wait for entries; a stop and a due minute wait no longer than this."""
LOOK_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 10.0
DAY_SECONDS: Final = 86_400.0
FINISH_SECONDS: Final = 6.0
"""For a backlog at a graceful end; what is left then, the next process stores."""


class Level(msgspec.Struct, frozen=True):
    """Nothing more was in the stream than what is stored."""

    added: int
    """Entries that Redis ever added."""
    taken: int
    """Entries that we took, and those that are known never to have come."""
    at: int
    """Market time."""


class Drain:
    """Everything that lives as long as the ownership of the stream."""

    def __init__(self, plan: Plan, connection: Connection, clock: Clock, meters: Meters) -> None:
        self._plan = plan
        self._connection = connection
        self._clock = clock
        self._meters = meters
        self._log = structlog.get_logger().bind(stream=plan.stream)
        self._redis = connect_redis(plan.redis_url)
        self.lane = self._load()
        self._reader = StreamReader(self._redis, plan.stream, self.lane.position)
        self._latest = Latest(self._redis)
        self._aligned = False
        self._moved = time.monotonic()
        self._look_at = self._trim_at = self._daily_at = 0.0
        self._known_at: Level | None = None
        """When we were level with the stream."""
        self._taken = self._jumped = 0
        self._short_of_memory = False
        self.lag_seconds = 0.0

    def turn(self) -> None:
        """Read once and do all that follows; raises RedisError, psycopg.Error, PositionMoved, ClockBehind."""
        self._align()
        read = self._reader.read(self._patience())
        if read.entries:
            self._take(read)
        if not read.full:
            self._close_minutes()
        # Before the cache is written: a full Redis refuses that, and only trimming makes room in it.
        self._keep_house(level=not read.entries)
        self._show_latest()

    def reload(self) -> None:
        """A transaction failed and nothing of it is stored: begin again from what the database has."""
        self.lane = self._load()
        self._reader.position = self.lane.position

    def lost_redis(self) -> None:
        """Redis failed: look at it anew before reading on."""
        self._aligned = False

    def finish(self) -> None:
        """Store what is in the stream by now, as far as time allows, and show the latest."""
        end = self._reader.end().last_id
        deadline = time.monotonic() + FINISH_SECONDS
        while comes_before(self.lane.position, end) and time.monotonic() < deadline:
            read = self._reader.read(0.001)
            if not read.entries:  # deleted under our hands
                break
            self._take(read)
        self._latest.flush(self.lane.running, self._clock.monotonic(), force=True)

    def close(self) -> None:
        self._redis.close()

    def _load(self) -> Lane:
        return Lane.load(self._connection, self._plan.stream, self._today, self._plan.without)

    def holdings(self) -> Iterator[Held]:
        """All that it remembers."""
        yield from self.lane.holdings()
        yield from self._latest.holdings()

    def _today(self) -> date:
        """The later of the machine's and the market's."""
        return max(day_of(self._clock.market()), day_of(time.time_ns() // 1000))

    def _align(self) -> None:
        """A stream that ends before our position lost its data: what is there now is new to us."""
        if self._aligned:
            return
        if comes_before(self._reader.end().last_id, self.lane.position):
            self._log.warning(
                "Redis lost entries that are stored here; its stream is read from the beginning."
            )
            move_position(self._connection, self._plan.stream, self.lane.position, BEGINNING)
            self.lane.position = self._reader.position = BEGINNING
        self._aligned = True
        self._known_at = None

    def _patience(self) -> float:
        waiting = self._latest.seconds_until_due(self.lane.running, self._clock.monotonic())
        return PATIENCE_SECONDS if waiting is None else min(PATIENCE_SECONDS, waiting)

    def _take(self, read: Read) -> None:
        readings = [self._read_entry(entry_id, fields) for entry_id, fields in read.entries]
        records = 0
        started = time.perf_counter()
        for applied in self._commit(readings, fold=not read.full):
            self._latest.note(applied.accepted, self.lane.running)
            self._meters.count(applied)
            records += applied.records
            self._jumped += applied.jumped
        self._meters.committed(len(readings), read.size, time.perf_counter() - started)
        self._reader.position = self.lane.position
        self._reader.pace(len(readings), read.size, records)
        self._taken += len(readings)
        self._moved = time.monotonic()

    def _commit(self, readings: Sequence[Reading], *, fold: bool) -> Iterator[Applied]:
        """One transaction where PostgreSQL takes it all, else what it takes of it."""
        try:
            yield self._apply(readings, fold=fold)
            return
        except REFUSALS as error:
            if Defence.ISOLATION in self._plan.without:
                raise
            self.lane = self._load()
            self._check_clock(readings)
            self._log.warning("PostgreSQL refused records; they are singled out.", reason=sentence(error))
        remaining = self._isolate(readings)
        try:
            yield self._apply(remaining)
            return
        except REFUSALS as error:
            self._log.warning("The rest is refused as well; entry by entry.", reason=sentence(error))
        for reading in remaining:
            self.lane = self._load()
            try:
                yield self._apply([reading])
            except REFUSALS as error:
                self.lane = self._load()
                yield self._apply([refused_whole(reading, sentence(error))])

    # --- what another kind of stream does in its own way ---

    def _read_entry(self, entry_id: str, fields: Fields) -> Reading:
        return read_entry(entry_id, fields)

    def _apply(self, readings: Sequence[Reading], *, fold: bool = True) -> Applied:
        return apply(self._connection, self.lane, readings, fold=fold)

    def _isolate(self, readings: Sequence[Reading]) -> list[Reading]:
        return isolate(self._connection, self.lane, readings)

    def _check_clock(self, readings: Sequence[Reading]) -> None:
        check_clock(self.lane.partitions.last(), readings)

    def _prepare_days(self) -> None:
        ensure_ahead(self._connection)

    def _note_vanished(self, since: int, until: int, detail: str) -> None:
        gap = Gap(None, None, GapReason.BUS, None, None, since, until, detail)
        exchange = self._plan.stream.partition(":")[2]
        self._meters.gaps.inc(write_gaps(self._connection, exchange, [gap]))

    # --- the rest is the same for all ---

    def _close_minutes(self) -> None:
        """Level with the stream: what the clock has closed is written, what a backlog left is caught up."""
        running = self.lane.running
        now = self._clock.market()
        next_due = running.next_due(self._plan.lateness)
        if next_due is not None and next_due <= now:
            due = running.due(now, self._plan.lateness)
            self._meters.count_rows({"candle": close_due(self._connection, self.lane, due)})
        if running.behind():
            refresh_running(self._connection, self.lane)

    def _show_latest(self) -> None:
        now = self._clock.monotonic()
        try:
            self._latest.flush(self.lane.running, now)
        except ResponseError:  # a cache: what Redis does not take must not hold up what PostgreSQL takes
            self._meters.latest_refused.inc()
            self._latest.put_off(now)

    def _keep_house(self, *, level: bool) -> None:
        now = time.monotonic()
        if now >= min(self._look_at, self._trim_at):
            self._look_at = now + LOOK_SECONDS
            self._measure_lag(now)
        if now >= self._trim_at and self._aligned:  # what a replaced Redis holds may be new to us
            self._trim_at = now + TRIM_SECONDS
            self._trim(level=level)
        if now >= self._daily_at:
            self._daily_at = now + DAY_SECONDS
            self._prepare_days()
            if forget_producers(self._connection, self._plan.stream):
                self.lane.producers = load_producers(self._connection, self._plan.stream)

    def _trim(self, *, level: bool) -> None:
        """Behind what is stored for good: a crash of PostgreSQL may take its last commits."""
        short = self._reader.is_short_of_memory()
        if short and not self._short_of_memory:
            self._log.warning(
                "Redis is nearly full: entries that are stored leave the stream before their window ends."
            )
        self._short_of_memory = short
        window = 0.0 if short else self._plan.window_seconds
        make_durable(self._connection, self._plan.stream, self.lane.position)
        self._meters.trimmed.inc(self._reader.trim(self.lane.position, window, level=short or level))

    def _measure_lag(self, now: float) -> None:
        end = self._reader.end()
        if comes_before(end.last_id, self.lane.position):
            # Redis was replaced between two commands: its client connected anew without a word.
            self._aligned = False
            return
        level = not comes_before(self.lane.position, end.last_id)
        behind = milliseconds_of(end.last_id) - milliseconds_of(self.lane.position)
        self.lag_seconds = 0.0 if level else max(behind, 0) / 1000
        entries = end.length  # an upper bound, until we have been level once
        taken = self._taken + self._jumped
        if self._known_at is not None:
            entries = end.added - self._known_at.added - (taken - self._known_at.taken)
        if level:
            if self._known_at is not None and entries > 0:
                self._tell_vanished(entries, self._known_at.at)
            self._known_at = Level(end.added, taken, self._clock.market())
            entries = 0
        self._meters.lag_seconds.set(self.lag_seconds)
        self._meters.lag_entries.set(max(entries, 0))
        self._meters.position_age.set(now - self._moved)

    def _tell_vanished(self, entries: int, since: int) -> None:
        """Somebody deleted what was not stored, and no producer's count shows it (yet)."""
        detail = f"{entries} entries were deleted from {self._plan.stream} before they were stored"
        self._log.error("Entries were deleted before they were stored.", entries=entries)
        self._note_vanished(since, self._clock.market(), detail)
