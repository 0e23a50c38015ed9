"""An account's stream: events become books, in one transaction with the stream's position.

What differs from a market's stream: every transaction chooses the account's tenant, nothing is ever thrown
away, and where entries are missing an interval of blindness is noted instead of a gap. That one is bounded
on both sides at once: the next reconciliation, which it asks for, has the exchange tell what they told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from trade_platform.adapters.clock import Clock
from trade_platform.adapters.database import books, positions
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.dead_letters import write_dead_letters
from trade_platform.adapters.database.roles import tenant
from trade_platform.adapters.redis_reader import Fields
from trade_platform.domain.accounts import AccountRecord, Blindness
from trade_platform.domain.defences import Defence
from trade_platform.processors.apply import Applied
from trade_platform.processors.drain import Drain
from trade_platform.processors.isolation import isolate
from trade_platform.processors.lane import Lane
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan
from trade_platform.processors.producers import Accepted, screen
from trade_platform.processors.reading import Reading, read_entry


class BooksDrain(Drain):
    """One owner's work on an account's stream; the connection has stepped down already."""

    def __init__(
        self, plan: Plan, connection: Connection, clock: Clock, meters: Meters, owner: Owner
    ) -> None:
        self._owner = owner
        super().__init__(plan, connection, clock, meters)

    def _load(self) -> Lane:
        """Position and producers are all that an account's stream needs to remember."""
        stream = self._plan.stream
        return Lane(
            stream,
            positions.load_position(self._connection, stream),
            positions.load_producers(self._connection, stream),
            {},
            self._today,
            self._plan.without,
        )

    def _read_entry(self, entry_id: str, fields: Fields) -> Reading:
        return read_entry(entry_id, fields, account=True)

    def _apply(self, readings: Sequence[Reading], *, fold: bool = True) -> Applied:  # noqa: ARG002 - markets fold
        return apply(self._connection, self.lane, self._owner, readings)

    def _isolate(self, readings: Sequence[Reading]) -> list[Reading]:
        def attempt(parts: Sequence[Accepted]) -> None:
            tenant(self._connection, self._owner.tenant_id)
            store(self._connection, self._owner, parts)

        return isolate(self._connection, self.lane, readings, attempt)

    def _check_clock(self, readings: Sequence[Reading]) -> None:
        """The books have no days that could be missing."""

    def _prepare_days(self) -> None:
        """As above."""

    def _note_vanished(self, since: int, until: int, detail: str) -> None:
        with self._connection.transaction():
            tenant(self._connection, self._owner.tenant_id)
            noted = note_blindness(self._connection, self._owner, [_lost(since, until, detail)])
        self._meters.gaps.inc(noted)


def apply(connection: Connection, lane: Lane, owner: Owner, readings: Sequence[Reading]) -> Applied:
    """Store the batch and move the position, in one transaction; when it raises, nothing is stored."""
    screened = screen(lane.stream, readings, lane.producers, repeats=Defence.REPEATS not in lane.without)
    letters = [letter for reading in readings for letter in reading.letters]
    with connection.transaction():
        tenant(connection, owner.tenant_id)
        rows = store(connection, owner, screened.accepted)
        lost = [_lost(gap.since, gap.until or gap.since, gap.detail) for _, gap in screened.gaps]
        noted = note_blindness(connection, owner, lost)
        if letters:
            write_dead_letters(connection, lane.stream, letters)
        if screened.progress:
            positions.save_producers(connection, lane.stream, screened.progress.items())
        positions.move_position(connection, lane.stream, lane.position, readings[-1].entry_id)
    lane.position = readings[-1].entry_id
    lane.producers |= screened.progress
    return Applied(
        rows,
        (),
        sum(len(one.reading.records) for one in screened.accepted),
        rows.pop("duplicate", 0),
        screened.repeated,
        screened.jumped,
        noted,
        letters,
    )


def store(connection: Connection, owner: Owner, accepted: Iterable[Accepted]) -> Counter[str]:
    """Everything of these entries, in the caller's transaction; returns new rows by table."""
    rows: Counter[str] = Counter()
    for kind, group in groupby(accepted, key=lambda one: one.entry.kind):
        records: list[AccountRecord] = [record for one in group for record in one.reading.records]  # type: ignore[misc]
        if records:
            written = books.write(connection, owner, kind, records)
            rows += Counter(
                {kind: written.new, "duplicate": written.duplicates, "book_conflict": written.conflicts}
            )
    return rows


def note_blindness(connection: Connection, owner: Owner, intervals: Sequence[Blindness]) -> int:
    """Entries did not arrive: what they told is to be asked of the exchange."""
    return books.write(connection, owner, "blindness", intervals).new if intervals else 0


def _lost(since: int, until: int, detail: str) -> Blindness:
    return Blindness(since, detail, until, until)
