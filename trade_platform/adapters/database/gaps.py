"""The rows of the ledger of gaps: read, attempted, narrowed, closed. What proves them: ``gap_proof``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from psycopg import sql

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import microseconds_of, moment
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.gaps import Source, State, Verdict
from trade_platform.domain.model import Channel

LOCK: Final = "trade_platform repair"


class LedgerGap(msgspec.Struct, frozen=True, kw_only=True):
    """One row, with ages as PostgreSQL's clock has them. Times: microseconds UTC."""

    gap_id: int
    exchange: str
    symbol: str | None
    channel: Channel | None
    reason: str
    first: int | None
    last: int | None
    since: int
    until: int
    detail: str
    state: State
    attempts: int
    detected_seconds_ago: float
    attempted_seconds_ago: float | None
    closed_seconds_ago: float | None
    repaired_by: str | None
    verdict: str
    remaining: Ranges | None
    """Numbers still missing, as last seen; None where none were ever counted."""
    detected_at: int = 0
    attempted_at: int | None = None
    closed_at: int | None = None

    @property
    def expected(self) -> Ranges:
        """All of its numbers."""
        if self.first is None or self.last is None:
            return Ranges()
        return Ranges.between(self.first, self.last + 1)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the ledger a command is about; empty: all of it."""

    exchanges: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    since: int | None = None
    """Microseconds UTC: only what ended after it."""


EVERYTHING: Final = Filter()

_AGO: Final = "extract(epoch from clock_timestamp() - {})::float8"
_COLUMNS: Final = f"""
gap_id, exchange, symbol, channel, reason, first_sequence, last_sequence,
(extract(epoch from since) * 1000000)::bigint,
(extract(epoch from coalesce(until, detected_at)) * 1000000)::bigint,
detail, state, attempts, {_AGO.format("detected_at")}, {_AGO.format("attempted_at")},
{_AGO.format("closed_at")}, repaired_by, verdict, remaining::text, detected_at, attempted_at, closed_at
"""
_FILTERED: Final = """
(%(exchanges)s::text[] = '{}' OR exchange = ANY(%(exchanges)s))
AND (%(symbols)s::text[] = '{}' OR symbol IS NULL OR symbol = ANY(%(symbols)s))
AND (%(since)s::timestamptz IS NULL OR coalesce(until, detected_at) > %(since)s)
"""
_OPEN: Final = f"""
SELECT {_COLUMNS} FROM gap WHERE state = 'open' AND gap_id > %(after)s AND {_FILTERED}
ORDER BY gap_id LIMIT %(limit)s
"""  # noqa: S608 - constants of our own, here and below
_RECENT: Final = f"""
SELECT {_COLUMNS} FROM gap
WHERE (state = 'open' OR %(hours)s::float8 IS NULL
       OR detected_at > clock_timestamp() - make_interval(secs => %(hours)s * 3600)) AND {_FILTERED}
ORDER BY (state <> 'open'), since DESC, gap_id LIMIT %(limit)s
"""  # noqa: S608
_CLOSE: Final = """
UPDATE gap SET state = %(state)s, verdict = %(words)s, remaining = coalesce(%(remaining)s, remaining),
               repaired_by = coalesce(repaired_by, %(by)s), closed_at = clock_timestamp()
WHERE gap_id = %(gap_id)s AND state = 'open'
"""
_SAY: Final = """
UPDATE gap SET verdict = %(words)s, remaining = coalesce(%(remaining)s, remaining)
WHERE gap_id = %(gap_id)s AND state = 'open'
  AND (verdict, remaining) IS DISTINCT FROM (%(words)s, coalesce(%(remaining)s, remaining))
"""
_NARROW: Final = """
UPDATE gap SET remaining = %(remaining)s
WHERE gap_id = %(gap_id)s AND state = 'open' AND remaining IS DISTINCT FROM %(remaining)s::int8multirange
"""
_ATTEMPT: Final = """
UPDATE gap SET attempts = attempts + 1, attempted_at = clock_timestamp() WHERE gap_id = %s AND state = 'open'
"""
_CREDIT: Final = "UPDATE gap SET repaired_by = %s WHERE gap_id = %s AND state = 'open'"
_REOPEN: Final = f"""
UPDATE gap SET state = 'open', attempts = 0, attempted_at = NULL, closed_at = NULL, verdict = ''
WHERE state = 'unrepairable' AND first_sequence IS NOT NULL AND {_FILTERED}
"""  # noqa: S608
# A connection of ours carried all that is recorded of its exchange, as far as one can tell afterwards.
_SPLIT: Final = """
WITH whole AS (SELECT * FROM gap WHERE gap_id = %(gap_id)s AND channel IS NULL FOR UPDATE),
recorded AS (
    SELECT DISTINCT c.channel FROM whole
    JOIN instrument i ON i.exchange = whole.exchange AND (whole.symbol IS NULL OR i.symbol = whole.symbol)
    CROSS JOIN LATERAL (
        SELECT channel FROM coverage c WHERE c.instrument_id = i.instrument_id
        AND c.channel IN ('trade', 'aggregate_trade') AND c.day BETWEEN %(from)s AND %(to)s
        UNION ALL
        SELECT channel FROM time_coverage c WHERE c.instrument_id = i.instrument_id
        AND c.day BETWEEN %(from)s AND %(to)s) c
), added AS (
    INSERT INTO gap (exchange, symbol, channel, reason, first_sequence, last_sequence, since, until, detail,
                     detected_at)
    SELECT exchange, symbol, recorded.channel, reason, first_sequence, last_sequence, since, until, detail,
           detected_at
    FROM whole CROSS JOIN recorded ON CONFLICT DO NOTHING
    RETURNING channel
), gone AS (DELETE FROM gap WHERE gap_id = (SELECT gap_id FROM whole) AND EXISTS (SELECT FROM recorded))
SELECT count(*) FROM recorded
"""
_COUNTS: Final = "SELECT exchange, reason, count(*) FROM gap WHERE state = 'open' GROUP BY 1, 2"
_OLDEST: Final = """
SELECT extract(epoch from clock_timestamp() - min(detected_at))::float8 FROM gap WHERE state = 'open'
"""
_SUMMARY: Final = f"""
SELECT count(*), count(*) FILTER (WHERE state = 'repaired'), count(*) FILTER (WHERE state = 'unrepairable'),
       count(*) FILTER (WHERE state = 'open')
FROM gap WHERE detected_at > clock_timestamp() - make_interval(secs => %(seconds)s) AND {_FILTERED}
"""  # noqa: S608
_TRY: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"


def open_gaps(
    connection: Connection, *, after: int = 0, limit: int = 500, only: Filter = EVERYTHING
) -> list[LedgerGap]:
    """A page of the open ones, oldest first; ``after``: the last gap_id of the page before."""
    return _rows(connection, _OPEN, only, after=after, limit=limit)


def listed_gaps(
    connection: Connection, *, hours: float | None = 24.0, limit: int = 500, only: Filter = EVERYTHING
) -> list[LedgerGap]:
    """The open ones and then those detected in the last ``hours``; None: all that there ever were."""
    return _rows(connection, _RECENT, only, hours=hours, limit=limit)


def close_gap(connection: Connection, gap_id: int, verdict: Verdict, remaining: Ranges | None = None) -> bool:
    """Its life ends; False where it had ended already."""
    parameters = {
        "state": verdict.state.value,
        "words": verdict.words,
        "remaining": None if remaining is None else remaining.to_text(),
        "by": None if verdict.by is None else verdict.by.value,
        "gap_id": gap_id,
    }
    return connection.execute(_CLOSE, parameters).rowcount == 1


def say_of_gap(connection: Connection, gap_id: int, words: str, remaining: Ranges | None = None) -> None:
    """It stays open, and why."""
    held = None if remaining is None else remaining.to_text()
    connection.execute(_SAY, {"gap_id": gap_id, "words": words, "remaining": held})


def narrow_gaps(connection: Connection, remaining: Iterable[tuple[int, Ranges]]) -> None:
    """What is still missing of each; rows that say so already are left alone."""
    with connection.cursor() as cursor:
        rows = [{"gap_id": gap_id, "remaining": ranges.to_text()} for gap_id, ranges in remaining]
        cursor.executemany(_NARROW, rows)


def note_attempt(connection: Connection, gap_id: int) -> None:
    """A source is asked now."""
    connection.execute(_ATTEMPT, (gap_id,))


def credit(connection: Connection, gap_id: int, source: Source) -> None:
    """This source gave something of it: should it be closed, it was by that."""
    connection.execute(_CREDIT, (source.value, gap_id))


def reopen_gaps(connection: Connection, only: Filter = EVERYTHING) -> int:
    """Try what was given up once more: an archive was added, a symbol came back."""
    return connection.execute(_REOPEN, _parameters(only)).rowcount


def split_gap(connection: Connection, gap: LedgerGap, days: Sequence[Any]) -> int:
    """A whole connection's gap becomes one a channel that was recorded then; returns how many."""
    parameters = {"gap_id": gap.gap_id, "from": days[0], "to": days[-1]}
    row = connection.execute(_SPLIT, parameters).fetchone()
    return int(row[0]) if row else 0


def open_counts(connection: Connection) -> tuple[dict[tuple[str, str], int], float]:
    """((exchange, reason) → open gaps, age in seconds of the oldest)."""
    counts = {(exchange, reason): n for exchange, reason, n in connection.execute(_COUNTS)}
    row = connection.execute(_OLDEST).fetchone()
    return counts, float(row[0] or 0.0) if row else 0.0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The gaps detected in a span of time, by where they stand now."""

    gaps: int
    repaired: int
    unrepairable: int
    open: int


def summary(connection: Connection, seconds: float = 86_400.0, only: Filter = EVERYTHING) -> Summary:
    """Of the last ``seconds``."""
    row = connection.execute(_SUMMARY, {**_parameters(only), "seconds": seconds}).fetchone() or (0, 0, 0, 0)
    return Summary(gaps=row[0], repaired=row[1], unrepairable=row[2], open=row[3])


def try_to_lead(connection: Connection) -> bool:
    """Become the one who repairs, for as long as the connection lives; False where somebody is."""
    row = connection.execute(_TRY, (LOCK,)).fetchone()
    return bool(row and row[0])


def _rows(connection: Connection, query: str, only: Filter, **more: object) -> list[LedgerGap]:
    with connection.cursor() as cursor:
        return [_gap(row) for row in cursor.execute(sql.SQL(query), {**_parameters(only), **more})]


def _parameters(only: Filter) -> dict[str, object]:
    return {
        "exchanges": list(only.exchanges),
        "symbols": list(only.symbols),
        "since": None if only.since is None else moment(only.since),
    }


def _gap(row: Sequence[Any]) -> LedgerGap:
    return LedgerGap(
        gap_id=row[0],
        exchange=row[1],
        symbol=row[2],
        channel=None if row[3] is None else Channel(row[3]),
        reason=row[4],
        first=row[5],
        last=row[6],
        since=row[7],
        until=row[8],
        detail=row[9],
        state=State(row[10]),
        attempts=row[11],
        detected_seconds_ago=row[12],
        attempted_seconds_ago=row[13],
        closed_seconds_ago=row[14],
        repaired_by=row[15],
        verdict=row[16],
        remaining=None if row[17] is None else Ranges.from_text(row[17]),
        detected_at=microseconds_of(row[18]),
        attempted_at=None if row[19] is None else microseconds_of(row[19]),
        closed_at=None if row[20] is None else microseconds_of(row[20]),
    )
