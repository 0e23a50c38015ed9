"""Numbers: copied into a temporary table, then inserted where their key is not held yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of, moment
from trade_platform.domain.model import DAY, Metric, Number

_NAMES: Final = "INSERT INTO metric (name) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING"
_IDS: Final = "SELECT name, metric_id FROM metric"
_INCOMING: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_number (
    instrument_id integer, metric_id smallint, event_time timestamptz, update bigint, value numeric,
    receive_time timestamptz
) ON COMMIT DELETE ROWS
"""
_COPY: Final = "COPY incoming_number FROM STDIN (FORMAT binary)"
_TYPES: Final = ("int4", "int2", "timestamptz", "int8", "numeric", "timestamptz")
_INSERT: Final = "INSERT INTO number SELECT * FROM incoming_number ON CONFLICT DO NOTHING"
_INSERT_FEW: Final = """
INSERT INTO number
SELECT * FROM unnest(%s::int[], %s::smallint[], %s::timestamptz[], %s::bigint[], %s::numeric[],
                     %s::timestamptz[])
ON CONFLICT DO NOTHING
"""
_HELD_UPDATES: Final = """
SELECT DISTINCT n.instrument_id, n.metric_id, n.update, n.at
FROM unnest(%s::int[], %s::smallint[], %s::bigint[], %s::bigint[]) AS n(instrument_id, metric_id, update, at)
JOIN number h ON h.instrument_id = n.instrument_id AND h.metric_id = n.metric_id AND h.update = n.update
    AND h.event_time BETWEEN to_timestamp((n.at - %s) / 1e6) AND to_timestamp((n.at + %s) / 1e6)
"""
FEW: Final = 50
"""Below this the temporary table costs more than it saves."""


def load_metrics(connection: Connection) -> dict[Metric, int]:
    """Every metric's id; names that are new get one."""
    ids: dict[str, int] = dict(connection.execute(_IDS).fetchall())
    absent = sorted(set(Metric) - ids.keys())
    if absent:
        connection.execute(_NAMES, ([str(name) for name in absent],))
        ids = dict(connection.execute(_IDS).fetchall())
    return {name: ids[name] for name in Metric}


def days_of_numbers(numbers: Iterable[Number]) -> set[date]:
    """The days that these fall on."""
    return {day_of(day * DAY) for day in {number.event_time // DAY for number in numbers}}


def write_numbers(
    connection: Connection, metrics: Mapping[Metric, int], numbers: Mapping[int, Sequence[Number]]
) -> int:
    """Store those (by instrument_id) that are new, in the caller's transaction; returns how many were."""
    rows = [
        (
            instrument_id,
            metrics[number.metric],
            moment(number.event_time),
            number.update,
            number.value,
            moment(number.receive_time),
        )
        for instrument_id, own in sorted(numbers.items())
        for number in own
    ]
    with connection.cursor() as cursor:
        if len(rows) <= FEW:
            return cursor.execute(_INSERT_FEW, [list(column) for column in zip(*rows, strict=True)]).rowcount
        cursor.execute(_INCOMING)
        with cursor.copy(_COPY) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                copy.write_row(row)
        return cursor.execute(_INSERT).rowcount


def held_updates(
    connection: Connection,
    metrics: Mapping[Metric, int],
    numbers: Sequence[tuple[int, Number]],
    close: int,
) -> set[tuple[int, Metric, int, int]]:
    """Which of these (by instrument_id) are stored with the same update within ``close`` microseconds.

    The answer names them by (instrument_id, metric, update, event_time).
    """
    if not numbers:
        return set()
    names = {metric_id: metric for metric, metric_id in metrics.items()}
    rows = connection.execute(
        _HELD_UPDATES,
        (
            [instrument_id for instrument_id, _ in numbers],
            [metrics[number.metric] for _, number in numbers],
            [number.update for _, number in numbers],
            [number.event_time for _, number in numbers],
            close,
            close,
        ),
    )
    return {(instrument_id, names[metric_id], update, at) for instrument_id, metric_id, update, at in rows}
