"""Which records does PostgreSQL refuse? The batch is split until each stands alone.

Everything here happens in a transaction that is rolled back. What was accepted stays in it while the
rest is tried, so that two records that refuse each other are found, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import psycopg

from trade_platform.adapters.database.connection import REFUSALS, Connection, sentence
from trade_platform.domain.defences import Defence
from trade_platform.processors.apply import Batch, prepare, store
from trade_platform.processors.lane import Lane
from trade_platform.processors.producers import Accepted, screen
from trade_platform.processors.reading import Reading, without

Suspect: TypeAlias = tuple[int, int]
"""(index of the reading, index of the record in it)."""
Attempt: TypeAlias = Callable[[Sequence[Accepted]], None]
"""Stores these; raises what PostgreSQL says."""


def isolate(
    connection: Connection, lane: Lane, readings: Sequence[Reading], attempt: Attempt | None = None
) -> list[Reading]:
    """The readings without what is refused, which has become dead letters.

    ``attempt`` stores parts of entries in the transaction that it finds; where it is None, as market data.
    """
    repeats = Defence.REPEATS not in lane.without
    screened = screen(lane.stream, readings, lane.producers, repeats=repeats)
    accepted = {one.reading.entry_id for one in screened.accepted}
    suspects = [
        (index, record)
        for index, reading in enumerate(readings)
        if reading.entry_id in accepted
        for record in range(len(reading.records))
    ]
    refused: dict[int, dict[int, str]] = defaultdict(dict)
    with connection.transaction():
        _search(connection, attempt or _attempt_at(connection, lane), readings, suspects, refused)
        raise psycopg.Rollback
    return [
        without(reading, refused[index]) if index in refused else reading
        for index, reading in enumerate(readings)
    ]


def _search(
    connection: Connection,
    attempt: Attempt,
    readings: Sequence[Reading],
    suspects: Sequence[Suspect],
    refused: dict[int, dict[int, str]],
) -> None:
    if not suspects:
        return
    try:
        with connection.transaction():
            attempt(_parts(readings, suspects))
    except REFUSALS as error:
        if len(suspects) == 1:
            index, record = suspects[0]
            refused[index][record] = sentence(error)
            return
        half = len(suspects) // 2
        _search(connection, attempt, readings, suspects[:half], refused)
        _search(connection, attempt, readings, suspects[half:], refused)


def _parts(readings: Sequence[Reading], suspects: Sequence[Suspect]) -> list[Accepted]:
    """The entries that these are of, each with these of its records alone."""
    chosen: dict[int, list[int]] = defaultdict(list)
    for index, record in suspects:
        chosen[index].append(record)
    parts = []
    for index, records in chosen.items():
        reading = readings[index]
        entry = reading.entry
        assert entry is not None, "only what has a header has records"
        part = Reading(reading.entry_id, entry, [reading.records[record] for record in records])
        parts.append(Accepted(part, entry, entry.since))
    return parts


def _attempt_at(connection: Connection, lane: Lane) -> Attempt:
    def attempt(parts: Sequence[Accepted]) -> None:
        trial = Lane.load(connection, lane.stream, lane.today, lane.without)
        for part in parts:
            batch = Batch([part])
            prepare(connection, trial, [batch])
            store(connection, trial, part.entry.exchange, batch, fold=False)

    return attempt
