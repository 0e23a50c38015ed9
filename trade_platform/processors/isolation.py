"""Which records does PostgreSQL refuse? The batch is split until each stands alone.

Everything here happens in a transaction that is rolled back. What was accepted stays in it while the
rest is tried, so that two records that refuse each other are found, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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


def isolate(connection: Connection, lane: Lane, readings: Sequence[Reading]) -> list[Reading]:
    """The readings without what is refused, which has become dead letters."""
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
        _search(connection, lane, readings, suspects, refused)
        raise psycopg.Rollback
    return [
        without(reading, refused[index]) if index in refused else reading
        for index, reading in enumerate(readings)
    ]


def _search(
    connection: Connection,
    lane: Lane,
    readings: Sequence[Reading],
    suspects: Sequence[Suspect],
    refused: dict[int, dict[int, str]],
) -> None:
    if not suspects:
        return
    try:
        with connection.transaction():
            _try(connection, lane, readings, suspects)
    except REFUSALS as error:
        if len(suspects) == 1:
            index, record = suspects[0]
            refused[index][record] = sentence(error)
            return
        half = len(suspects) // 2
        _search(connection, lane, readings, suspects[:half], refused)
        _search(connection, lane, readings, suspects[half:], refused)


def _try(
    connection: Connection, lane: Lane, readings: Sequence[Reading], suspects: Sequence[Suspect]
) -> None:
    trial = Lane.load(connection, lane.stream, lane.today, lane.without)
    chosen: dict[int, list[int]] = defaultdict(list)
    for index, record in suspects:
        chosen[index].append(record)
    for index, records in chosen.items():
        reading = readings[index]
        entry = reading.entry
        assert entry is not None, "only what has a header has records"
        part = Reading(reading.entry_id, entry, [reading.records[record] for record in records])
        batch = Batch([Accepted(part, entry, entry.since)])
        prepare(connection, trial, [batch])
        store(connection, trial, entry.exchange, batch, fold=False)
