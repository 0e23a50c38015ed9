"""What the platform has stored, asked while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, LiteralString

import msgspec
import psycopg

from benchmarks.rows import Gaps

MARGIN_SECONDS: Final = 60.0
"""Market seconds before a moment in which a trade may be dated that was printed after it."""

_STORED: Final = """
select coalesce(sum(held.rows), 0)::bigint, coalesce(sum(held.numbers), 0)::bigint,
       coalesce(sum(held.newer), 0)::bigint
from (
    select count(*) filter (where sequence <= wanted.high) as rows,
           count(distinct sequence) filter (where sequence <= wanted.high) as numbers,
           count(*) filter (where sequence > wanted.high) as newer
    from unnest(%s::text[], %s::bigint[], %s::bigint[]) as wanted (symbol, low, high)
    join instrument using (symbol) join trade using (instrument_id)
    where exchange = %s and event_time >= to_timestamp(%s) and sequence > wanted.low
    group by symbol
) as held
"""
_STATES: Final = "select status, count(*) from exchange_state where exchange = %s group by 1"
_EXITS: Final = """
with told as (
    select status, lag(status) over one_scope as before, lead(status) over one_scope as after
    from exchange_state where exchange = %s
    window one_scope as (partition by scope order by receive_time)
)
select case when bool_or(after is null and status <> 'open') then 0
            else count(*) filter (where status = 'open' and before <> 'open') end
from told
"""
_GAPS: Final = "select reason, count(*) from gap where exchange = %s group by 1"
_LAST_GAP: Final = "select coalesce(max(gap_id), 0) from gap where exchange = %s"
_LEDGER: Final = """
select count(*), count(*) filter (where state = 'repaired'), count(*) filter (where state = 'unrepairable'),
       count(*) filter (where state = 'unrepairable' and channel in ('trade', 'aggregate_trade')),
       count(*) filter (where state = 'unrepairable' and channel = 'candle')
from gap where exchange = %s and gap_id > %s and gap_id <= %s
"""

# Of a row that was repaired in part only what remains is gone; rows may overlap.
_GONE: Final = """
select coalesce(sum(upper(part) - lower(part)), 0)
from (
    select range_agg(
        coalesce(remaining, int8multirange(int8range(first_sequence, last_sequence + 1)))
    ) as parts
    from gap where state = 'unrepairable' and (remaining is not null or first_sequence is not null)
    group by exchange, symbol, channel
) as gone, unnest(parts) as part
"""


class Mark(msgspec.Struct, frozen=True):
    """How far a simulated exchange had come at a moment."""

    market: int
    """Its time, microseconds UTC."""
    emitted: Mapping[str, int]
    """Last sequence by symbol."""
    delivered: int = 0
    """Messages handed to clients."""


class Stored(msgspec.Struct, frozen=True):
    """What the table of trades holds of what was printed between two marks."""

    missing: int
    duplicated: int
    newer: int
    """Trades beyond the second mark."""


class Tables:
    """The database, for questions of ours: a server that was away is asked anew."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection | None = None

    @property
    def connection(self) -> psycopg.Connection:
        """For questions of ours; opened anew after the server went away."""
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(self.url, autocommit=True, connect_timeout=2)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def stored(self, exchange: str, low: Mark, high: Mark) -> Stored:
        """Sequence numbers in (low, high] against rows; raises psycopg.Error.

        A symbol that first traded in between is left to the proof at the end.
        """
        symbols = [symbol for symbol in high.emitted if symbol in low.emitted]
        lows, highs = ([mark.emitted[symbol] for symbol in symbols] for mark in (low, high))
        since = low.market / 1e6 - MARGIN_SECONDS
        row = self.connection.execute(_STORED, (symbols, lows, highs, exchange, since)).fetchone()
        assert row is not None
        rows, numbers, newer = row
        return Stored(sum(highs) - sum(lows) - numbers, rows - numbers, newer)

    def gaps(self, exchange: str) -> dict[str, int]:
        """Gap rows so far by reason; raises psycopg.Error."""
        return dict(self.connection.execute(_GAPS, (exchange,)).fetchall())

    def last_gap(self, exchange: str) -> int:
        """Of its gap rows, the newest; raises psycopg.Error."""
        return int(self.count(_LAST_GAP, exchange))

    def ledger_of(self, exchange: str, low: int, high: int) -> Gaps:
        """What became of its gap rows in (low, high]; raises psycopg.Error."""
        row = self.connection.execute(_LEDGER, (exchange, low, high)).fetchone()
        assert row is not None
        return Gaps(*row)

    def count(self, query: LiteralString, *parameters: object) -> float:
        """The one number that a query answers with; raises psycopg.Error."""
        row = self.connection.execute(query, parameters).fetchone()
        assert row is not None
        return float(row[0])

    def unrepairable_numbers(self) -> int:
        """How many trades the ledger says are gone for good; raises psycopg.Error."""
        return int(self.count(_GONE))

    def states(self, exchange: str) -> dict[str, int]:
        """Rows about the exchange's state so far by status; raises psycopg.Error."""
        return dict(self.connection.execute(_STATES, (exchange,)).fetchall())

    def exits(self, exchange: str) -> int:
        """States that were entered and left again; 0 while one of them holds. Raises psycopg.Error."""
        return int(self.count(_EXITS, exchange))
