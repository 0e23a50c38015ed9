"""What really arrived: trades on a stream of Redis and in PostgreSQL, counted by their sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import psycopg

from benchmarks.frames import FIRST
from trade_platform.adapters.bus import Entry, sequence_key
from trade_platform.domain.model import Trade

PAGE = 200


class Arrived(msgspec.Struct, frozen=True):
    """A trade on a stream and when Redis took it, milliseconds since 1970."""

    trade: Trade
    taken: int


def trades_on(redis: Any, stream: str, after: str = "0-0") -> Iterator[Arrived]:
    """All trades on the stream, in order."""
    while entries := redis.xrange(stream, min=f"({after}", count=PAGE):
        for identity, fields in entries:
            after = identity.decode()
            entry = Entry.from_fields(fields)
            if entry.kind == "trade":
                for record in entry.records():
                    assert isinstance(record, Trade)
                    yield Arrived(record, int(after.partition("-")[0]))


def contiguous(trades: Iterator[Arrived], last: Mapping[str, int], first: Mapping[str, int]) -> int:
    """How many came exactly as they were sent: each symbol's next sequence, up to its last."""
    expected = dict(first)
    good = 0
    for arrived in trades:
        trade = arrived.trade
        if trade.sequence == expected[trade.symbol] <= last[trade.symbol]:
            expected[trade.symbol] += 1
            good += 1
    return good


def handed_over(redis: Any, exchange: str) -> dict[str, int]:
    """Last sequence of each symbol, as the streamer notes it once its trades are on the stream."""
    known = redis.hgetall(sequence_key(exchange))
    return {
        name.decode().partition("|")[0]: int(value)
        for name, value in known.items()
        if name.endswith(b"|aggregate_trade")
    }


def trades_held(connection: psycopg.Connection, last: Mapping[str, int]) -> tuple[int, int]:
    """Rows of trades, and how many sequences of [FIRST, last] coverage says that we hold."""
    rows = _number(connection, "SELECT count(*) FROM trade")
    covered = 0
    for symbol, number in last.items():
        covered += _number(
            connection,
            """
            SELECT coalesce(sum(upper(part) - lower(part)), 0)
            FROM coverage JOIN instrument USING (instrument_id), unnest(held * %s::int8multirange) AS part
            WHERE symbol = %s
            """,
            f"{{[{FIRST},{number}]}}",
            symbol,
        )
    return rows, covered


def _number(connection: psycopg.Connection, query: str, *arguments: object) -> int:
    row = connection.execute(query, arguments).fetchone()
    assert row is not None
    return int(row[0])
