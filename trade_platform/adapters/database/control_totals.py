"""Our minutes beside the exchange's: what differs, what either lacks, and what is kept of the comparison.

PostgreSQL compares, by the rules that ``domain/control`` names; only what differs travels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import EPOCH, microseconds_of, moment, optional_moment
from trade_platform.domain.control import FIELDS, ROW, Class, Judgement, Pair, Rule

_DAY: Final = timedelta(days=1)

_MINUTES: Final = """
ours AS MATERIALIZED (
    SELECT * FROM candle WHERE instrument_id = %(instrument)s AND interval = '1m' AND source = 'trade'
    AND open_time >= %(start)s AND open_time < %(end)s),
theirs AS MATERIALIZED (
    SELECT * FROM candle WHERE instrument_id = %(instrument)s AND interval = '1m' AND source = 'exchange'
    AND complete AND open_time >= %(start)s AND open_time < %(end)s)
"""
_VALUES: Final = ", ".join(f"('{name}', o.{name}::numeric, t.{name}::numeric)" for name in FIELDS)
_PAIRS: Final = f"""
SELECT o.open_time, v.field, v.ours, v.theirs
FROM ours o JOIN theirs t USING (open_time)
CROSS JOIN LATERAL (VALUES {_VALUES}) AS v(field, ours, theirs)
WHERE o.complete
"""  # noqa: S608 - names of our own, here and below
# What the exchange does not report is not compared. Ours without a value differs from any.
_DIFFERENCES: Final = f"""
WITH {_MINUTES}
SELECT p.open_time, p.field, p.ours, p.theirs
FROM ({_PAIRS}) p
JOIN unnest(%(fields)s::text[], %(decimals)s::int[], %(tolerances)s::numeric[])
     AS r(field, decimals, tolerance) USING (field)
WHERE p.theirs IS NOT NULL AND CASE
    WHEN p.ours IS NULL THEN true
    WHEN r.decimals IS NULL THEN abs(p.ours - p.theirs) > r.tolerance
    ELSE trunc(p.ours, r.decimals) <> p.theirs END
ORDER BY 1, 2
"""  # noqa: S608
_COUNTS: Final = f"""
WITH {_MINUTES}
SELECT count(*) FILTER (WHERE o.complete AND t.complete),
       count(*) FILTER (WHERE t.complete AND o.complete IS NOT TRUE),
       count(*) FILTER (WHERE t.volume = 0)
FROM ours o FULL JOIN theirs t USING (open_time)
"""  # noqa: S608
# Minutes that the exchange was asked for and does not have; none before the instrument's first or after
# its last that anybody knows of.
_ABSENT: Final = f"""
WITH {_MINUTES}, known AS (
    SELECT min(open_time) AS first, max(open_time) AS last FROM candle
    WHERE instrument_id = %(instrument)s AND interval = '1m'
    AND open_time >= %(start)s::timestamptz - interval '1 day'
    AND open_time < %(end)s::timestamptz + interval '1 day')
SELECT m, coalesce(o.trades, 0)
FROM known
CROSS JOIN generate_series(%(start)s::timestamptz, %(asked)s::timestamptz - interval '1 minute',
                           interval '1 minute') AS m
LEFT JOIN ours o ON o.open_time = m
WHERE m BETWEEN known.first AND known.last AND NOT EXISTS (SELECT FROM theirs t WHERE t.open_time = m)
"""  # noqa: S608
_NOT_HELD: Final = """
SELECT m FROM generate_series(%(start)s::timestamptz, %(until)s::timestamptz - interval '1 minute',
                              interval '1 minute') AS m
WHERE NOT EXISTS (SELECT FROM candle k WHERE k.instrument_id = %(instrument)s AND k.interval = '1m'
                  AND k.open_time = m AND k.source = 'exchange' AND k.complete)
"""
_NOTE: Final = """
INSERT INTO control_total (instrument_id, interval, open_time, field, ours, theirs, class, explanation)
SELECT %(instrument)s, '1m', *
FROM unnest(%(times)s::timestamptz[], %(names)s::text[], %(ours)s::numeric[], %(theirs)s::numeric[],
            %(classes)s::text[], %(words)s::text[])
ON CONFLICT (instrument_id, interval, open_time, field) DO UPDATE
SET (ours, theirs, class, explanation, last_seen)
  = (excluded.ours, excluded.theirs, excluded.class, excluded.explanation, now())
"""
_HEAL: Final = f"""
WITH {_MINUTES}, equal AS (
    SELECT p.open_time, p.field, p.ours, p.theirs FROM ({_PAIRS}) p
    UNION ALL SELECT open_time, '{ROW}', trades, trades FROM theirs)
UPDATE control_total c
SET (ours, theirs, class, explanation)
  = (p.ours, p.theirs, 'equal', format('it was %%s against %%s', coalesce(c.ours::text, 'nothing'),
                                       coalesce(c.theirs::text, 'nothing')))
FROM equal p
WHERE c.instrument_id = %(instrument)s AND c.interval = '1m' AND c.open_time = p.open_time
  AND c.field = p.field AND c.class <> 'equal'
  AND NOT EXISTS (SELECT FROM unnest(%(times)s::timestamptz[], %(names)s::text[]) AS n(open_time, field)
                  WHERE (n.open_time, n.field) = (c.open_time, c.field))
"""  # noqa: S608
_KEPT: Final = "SELECT asked_until FROM control_day WHERE instrument_id = %s AND day = %s"
_SUMMARISE: Final = """
INSERT INTO control_day AS d (instrument_id, day, compared, equal, explained, open, missing_ours,
                              missing_theirs, fillers, asked_until)
VALUES (%(instrument)s, %(day)s, %(compared)s, %(equal)s, %(explained)s, %(open)s, %(missing_ours)s,
        %(missing_theirs)s, %(fillers)s, %(asked)s)
ON CONFLICT (instrument_id, day) DO UPDATE
SET (compared, equal, explained, open, missing_ours, missing_theirs, fillers, asked_until, compared_at)
  = (excluded.compared, excluded.equal, excluded.explained, excluded.open, excluded.missing_ours,
     excluded.missing_theirs, excluded.fillers, excluded.asked_until, now())
"""
# A day that was just loaded has no statistics: expecting one row of it, the planner would compare each minute
# with each other one. What can only be looked up row by row still is.
_BY_HASH: Final = "SET LOCAL enable_nestloop TO off"
_AS_BEFORE: Final = "SET LOCAL enable_nestloop TO DEFAULT"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('control totals', %s))"


class DayCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes of one instrument and day, by what the comparison says of them."""

    compared: int = 0
    """Both rows are held and ours is complete, or we hold trades of a minute that the exchange lacks."""
    equal: int = 0
    explained: int = 0
    """Differs in some field, and our own data show why."""
    open: int = 0
    missing_ours: int = 0
    """The exchange has a candle, and we no complete one."""
    missing_theirs: int = 0
    """The exchange was asked and has none, nor do we hold a trade of it: it was out."""
    fillers: int = 0
    """The exchange reports a candle without volume."""


Differences = dict[int, dict[str, Pair]]
"""Opening of a minute, microseconds UTC → field → both values."""


def not_held(connection: Connection, instrument_id: int, day: date, until: int) -> list[int]:
    """Minutes of the day that end by ``until`` and of which no candle of the exchange's is stored."""
    span = span_of(instrument_id, day)
    rows = connection.execute(_NOT_HELD, {**span, "until": min(moment(until), span["end"])})
    return [microseconds_of(minute) for (minute,) in rows]


def asked_until(connection: Connection, instrument_id: int, day: date) -> int | None:
    """Until when in the day the exchange has been asked for what it has; None: never."""
    row = connection.execute(_KEPT, (instrument_id, day)).fetchone()
    return None if row is None or row[0] is None else microseconds_of(row[0])


def find_differences(
    connection: Connection, instrument_id: int, day: date, rules: Mapping[str, Rule]
) -> Differences:
    """Fields in which a complete minute of ours is not the exchange's."""
    parameters = {
        **span_of(instrument_id, day),
        "fields": list(rules),
        "decimals": [rule.decimals for rule in rules.values()],
        "tolerances": [rule.tolerance for rule in rules.values()],
    }
    found: Differences = defaultdict(dict)
    for open_time, field, ours, theirs in connection.execute(_DIFFERENCES, parameters):
        found[microseconds_of(open_time)][field] = (ours, theirs)
    return dict(found)


def count_minutes(connection: Connection, instrument_id: int, day: date) -> tuple[int, int, int]:
    """(held by both, missing of ours, without volume)."""
    row = connection.execute(_COUNTS, span_of(instrument_id, day)).fetchone() or (0, 0, 0)
    return row[0], row[1], row[2]


def absent_minutes(connection: Connection, instrument_id: int, day: date, asked: int) -> dict[int, int]:
    """Minutes that the exchange does not have, asked until then → trades of ours in them."""
    span = span_of(instrument_id, day)
    rows = connection.execute(_ABSENT, {**span, "asked": min(moment(asked), span["end"])})
    return {microseconds_of(minute): trades for minute, trades in rows}


def keep(
    connection: Connection,
    instrument_id: int,
    day: date,
    found: Sequence[tuple[int, str, Pair, Judgement]],
    counts: DayCounts,
    asked: int | None,
) -> int:
    """Store what differs and the day's counts; what was noted and differs no more is closed.

    Returns how many were closed. Part of the caller's transaction.
    """
    columns: dict[str, list[Any]] = {
        "times": [moment(minute) for minute, *_ in found],
        "names": [field for _, field, *_ in found],
        "ours": [pair[0] for _, _, pair, _ in found],
        "theirs": [pair[1] for _, _, pair, _ in found],
        "classes": [judgement.class_.value for *_, judgement in found],
        "words": [judgement.explanation for *_, judgement in found],
    }
    parameters = {**span_of(instrument_id, day), **columns}
    connection.execute(_NOTE, parameters)
    healed = connection.execute(_HEAL, parameters).rowcount
    summary = {**msgspec.structs.asdict(counts), "asked": optional_moment(asked)}
    connection.execute(_SUMMARISE, {**parameters, "day": day, **summary})
    return healed


def lock_day(connection: Connection, instrument_id: int, day: date) -> None:
    """One comparison of an instrument's day at a time, until the transaction ends."""
    connection.execute(_LOCK, (instrument_id * 100_000 + (day - EPOCH.date()).days,))


@contextmanager
def by_hash(connection: Connection) -> Iterator[None]:
    """Statements in it join whole days; part of the caller's transaction."""
    connection.execute(_BY_HASH)
    yield
    connection.execute(_AS_BEFORE)


class StoredDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One field of one minute, as it was last compared."""

    open_time: datetime
    field: str
    ours: Decimal | None
    theirs: Decimal | None
    class_: Class
    explanation: str


_STORED: Final = """
SELECT open_time, field, ours, theirs, class, explanation FROM control_total
WHERE instrument_id = %s AND interval = '1m' AND open_time >= %s AND open_time < %s
  AND (%s::text IS NULL OR class = %s)
ORDER BY open_time, field LIMIT %s
"""


def stored_differences(
    connection: Connection, instrument_id: int, day: date, class_: Class | None = None, limit: int = 100
) -> list[StoredDifference]:
    """Of one day, by time; ``class_``: only these."""
    span = span_of(instrument_id, day)
    rows = connection.execute(_STORED, (instrument_id, span["start"], span["end"], class_, class_, limit))
    return [
        StoredDifference(
            open_time=open_time,
            field=field,
            ours=ours,
            theirs=theirs,
            class_=Class(word),
            explanation=explanation,
        )
        for open_time, field, ours, theirs, word, explanation in rows
    ]


def span_of(instrument_id: int, day: date) -> dict[str, Any]:
    """Parameters of a statement about one instrument and UTC day."""
    start = EPOCH + (day - EPOCH.date())
    return {"instrument": instrument_id, "start": start, "end": start + _DAY}
