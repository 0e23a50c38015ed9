"""What a processor knows of its stream between two transactions.

It is made from the database and never ahead of it: when a transaction fails, the lane is thrown away
and loaded anew, so nothing in memory can outlive what was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.database import coverage, instruments, numbers, positions
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.minutes import load_newest
from trade_platform.adapters.database.partitions import Partitions
from trade_platform.domain.model import Metric
from trade_platform.processors.listening import Key
from trade_platform.processors.running import RunningMinutes

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
    ) -> None:
        self.stream = stream
        self.position = position
        self.producers = producers
        self.metrics = metrics
        self.directory = instruments.Directory()
        self.today = today
        self.partitions = Partitions(today)
        self.coverage_begun: set[coverage.Key] = set()
        self.listened: dict[Key, int | None] = {}
        self.running = RunningMinutes()
        self._seeded: set[str] = set()

    @classmethod
    def load(cls, connection: Connection, stream: str, today: Callable[[], date]) -> Lane:
        """As the database has it."""
        lane = cls(
            stream,
            positions.load_position(connection, stream),
            positions.load_producers(connection, stream),
            numbers.load_metrics(connection),
            today,
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

    def uppers(self, connection: Connection, keys: Iterable[Key]) -> dict[Key, int | None]:
        """Where the time coverage of these channels ends."""
        wanted = set(keys)
        unknown = wanted - self.listened.keys()
        if unknown:
            self.listened.update(coverage.load_upper_times(connection, unknown))
        return {key: self.listened[key] for key in wanted}
