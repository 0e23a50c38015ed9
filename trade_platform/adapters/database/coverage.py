"""What is held: sequence numbers of trades per instrument and day, and time per channel and day.

Rows are locked and updated in the order (instrument, channel, day) by everybody, repair included: no
deadlocks. PostgreSQL itself subtracts: what travels is the batch's ranges, never the whole multirange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, TypeAlias

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import days_of
from trade_platform.domain.coverage import Ranges

Key: TypeAlias = tuple[int, str, date]
"""(instrument_id, channel, day)."""

_KEYS: Final = "%(instruments)s::int[], %(channels)s::text[], %(days)s::date[]"
_BEGIN: Final = f"""
INSERT INTO coverage (instrument_id, channel, day, held)
SELECT *, '{{}}' FROM unnest({_KEYS}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants of our own, here and below
_LOCK: Final = f"""
SELECT c.instrument_id, c.channel, c.day, (c.held * n.held)::text
FROM coverage c
JOIN unnest({_KEYS}, %(held)s::int8multirange[]) AS n(instrument_id, channel, day, held)
     USING (instrument_id, channel, day)
ORDER BY c.instrument_id, c.channel, c.day
FOR UPDATE OF c
"""  # noqa: S608
_EXTEND: Final = f"""
UPDATE coverage c SET held = c.held + n.held
FROM unnest({_KEYS}, %(held)s::int8multirange[]) AS n(instrument_id, channel, day, held)
WHERE (c.instrument_id, c.channel, c.day) = (n.instrument_id, n.channel, n.day)
"""  # noqa: S608
_EXTEND_TIME: Final = f"""
INSERT INTO time_coverage AS c (instrument_id, channel, day, held)
SELECT * FROM unnest({_KEYS}, %(held)s::tstzmultirange[]) AS n(instrument_id, channel, day, held)
ORDER BY instrument_id, channel, day
ON CONFLICT (instrument_id, channel, day) DO UPDATE SET held = c.held + excluded.held
"""  # noqa: S608
_UPPER_TIMES: Final = """
SELECT n.instrument_id, n.channel, (
    SELECT (extract(epoch FROM upper(c.held)) * 1000000)::bigint FROM time_coverage c
    WHERE c.instrument_id = n.instrument_id AND c.channel = n.channel AND NOT isempty(c.held)
    ORDER BY c.day DESC LIMIT 1)
FROM unnest(%s::int[], %s::text[]) AS n(instrument_id, channel)
"""


def lock_coverage(connection: Connection, batch: Mapping[Key, Ranges], begun: set[Key]) -> dict[Key, Ranges]:
    """Lock the batch's rows and say what of the batch is held already.

    ``begun``: keys whose row is known to exist; the others' rows are made, and noted there.
    """
    parameters = _parameters({key: ranges.to_text() for key, ranges in batch.items()})
    if not begun.issuperset(batch):
        connection.execute(_BEGIN, parameters)
        begun.update(batch)
    rows = connection.execute(_LOCK, parameters).fetchall()
    return {(i, channel, day): Ranges.from_text(held) for i, channel, day, held in rows if held != "{}"}


def extend_coverage(connection: Connection, added: Mapping[Key, Ranges]) -> None:
    """Note what the batch added, in one statement; the rows are locked by ``lock_coverage``."""
    connection.execute(_EXTEND, _parameters({key: ranges.to_text() for key, ranges in added.items()}))


def load_upper_times(
    connection: Connection, keys: Iterable[tuple[int, str]]
) -> dict[tuple[int, str], int | None]:
    """(instrument_id, channel) → the end of what is held in time, microseconds UTC, exclusive."""
    wanted = sorted(keys)
    rows = connection.execute(_UPPER_TIMES, ([key[0] for key in wanted], [key[1] for key in wanted]))
    return {(instrument_id, channel): upper for instrument_id, channel, upper in rows}


def extend_time_coverage(
    connection: Connection, added: Mapping[tuple[int, str], Iterable[tuple[int, int]]]
) -> None:
    """Add spans of time, each half-open in microseconds UTC, cut at midnights."""
    held: dict[Key, list[tuple[int, int]]] = {}
    for (instrument_id, channel), spans in added.items():
        for span in spans:
            for day, low, high in days_of(*span):
                held.setdefault((instrument_id, channel, day), []).append((low, high))
    if held:
        texts = {key: Ranges.from_spans(spans).to_time_text() for key, spans in held.items()}
        connection.execute(_EXTEND_TIME, _parameters(texts))


def _parameters(texts: Mapping[Key, str]) -> dict[str, list[int] | list[str] | list[date]]:
    keys = sorted(texts)
    return {
        "instruments": [key[0] for key in keys],
        "channels": [key[1] for key in keys],
        "days": [key[2] for key in keys],
        "held": [texts[key] for key in keys],
    }
