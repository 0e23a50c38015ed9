"""What a processor knows of its stream between two transactions.

It is made from the database and never ahead of it: when a transaction fails, the lane is thrown away
and loaded anew, so nothing in memory can outlive what was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Final

from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.database import coverage, instruments, numbers, positions
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.minutes import load_newest
from trade_platform.adapters.database.partitions import Partitions
from trade_platform.adapters.holdings import Held
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Metric
from trade_platform.processors.listening import Key
from trade_platform.processors.running import MOST_RUNNING, RunningMinutes
from trade_platform.processors.updates import Updates

MOST_KEYS: Final = 100_000
MOST_DAYS: Final = 20_000
"""Days that there ever were, of two tables."""

_PREFIX = market_stream("")


class Lane:
    """Caches of one stream; ``load`` makes it."""

    def __init__(
        self,
        stream: str,
        position: str,
        producers: dict[str, positions.Progress],
        metrics: dict[Metric, int],
        today: Callable[[], date],
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        self.stream = stream
        self.without = without
        self.position = position
        self.producers = producers
        self.metrics = metrics
        self.directory = instruments.Directory()
        self.today = today
        self.partitions = Partitions(today)
        self.coverage_begun: set[coverage.Key] = set()
        self.listened: dict[Key, int | None] = {}
        self.updates = Updates()
        self.loose_ends: dict[Key, int] = {}
        self.running = RunningMinutes()
        self._seeded: set[str] = set()

    @classmethod
    def load(
        cls,
        connection: Connection,
        stream: str,
        today: Callable[[], date],
        without: frozenset[Defence] = frozenset(),
    ) -> Lane:
        """As the database has it."""
        lane = cls(
            stream,
            positions.load_position(connection, stream),
            positions.load_producers(connection, stream),
            numbers.load_metrics(connection),
            today,
            without,
        )
        if stream.startswith(_PREFIX):
            lane.seed(connection, stream.removeprefix(_PREFIX))
        return lane

    def seed(self, connection: Connection, exchange: str) -> None:
        """Know where this exchange's trades end; asked of the database once."""
        if exchange not in self._seeded:
            self.running.seed(exchange, load_newest(connection, exchange))
            self._seeded.add(exchange)

    def reseed(self, connection: Connection, exchange: str) -> None:
        """What was known of this exchange's instruments changed."""
        self._seeded.discard(exchange)
        self.seed(connection, exchange)

    def recall(self, connection: Connection, exchange: str, own: Iterable[int]) -> None:
        """Where the trades of these end that were let go."""
        if self.running.incomplete:
            absent = {instrument_id for instrument_id in own if instrument_id not in self.running}
            if absent:
                newest = load_newest(connection, exchange)
                self.running.seed(exchange, [one for one in newest if one.instrument_id in absent])

    def shrink(self) -> None:
        """Between two transactions: what has grown beyond its bound is let go, and read again when needed."""
        self.running.shrink()
        if len(self.coverage_begun) > MOST_KEYS:
            self.coverage_begun.clear()
        if len(self.listened) > MOST_KEYS:
            self.listened.clear()

    def holdings(self) -> Iterator[Held]:
        """All that this memory is made of."""
        yield Held("running_minutes", len(self.running), MOST_RUNNING)
        yield Held("coverage_rows_known", len(self.coverage_begun), MOST_KEYS)
        yield Held("time_coverage_ends", len(self.listened), MOST_KEYS)
        yield Held("producers", len(self.producers), positions.MOST_PRODUCERS)
        yield Held("directory", len(self.directory), instruments.MOST_KNOWN)
        yield Held("partition_days", len(self.partitions), MOST_DAYS)
        yield Held("quote_updates", len(self.updates), self.updates.bound)

    def uppers(self, connection: Connection, keys: Iterable[Key]) -> dict[Key, int | None]:
        """Where the time coverage of these channels ends."""
        wanted = set(keys)
        unknown = wanted - self.listened.keys()
        if unknown:
            self.listened.update(coverage.load_upper_times(connection, unknown))
        return {key: self.listened[key] for key in wanted}
