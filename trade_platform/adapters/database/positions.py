"""Where a stream stands, and the highest ``n`` of each of its producers: moved together with the rows."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import microseconds_of, moment, optional_moment

BEGINNING = "0-0"

_BEGIN = "INSERT INTO stream_position (stream, entry_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_POSITION = "SELECT entry_id FROM stream_position WHERE stream = %s"
_MOVE = """
UPDATE stream_position SET entry_id = %s, updated_at = clock_timestamp() WHERE stream = %s AND entry_id = %s
"""
_TOUCH = "UPDATE stream_position SET updated_at = updated_at WHERE stream = %s AND entry_id = %s"
_PRODUCERS = "SELECT producer, n, seen_at, unbroken_since FROM producer_position WHERE stream = %s"
_SAVE = """
INSERT INTO producer_position (stream, producer, n, seen_at, unbroken_since)
SELECT %s, * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (stream, producer) DO UPDATE
SET n = excluded.n, seen_at = excluded.seen_at, unbroken_since = excluded.unbroken_since
"""
# A producer's name ends with the moment of its start by the machine's clock; what it brings may be of any
# time (a replay's). Both must lie far back, by the database's clock: it is neither young nor at work.
_FORGET = """
DELETE FROM producer_position
WHERE stream = %s AND seen_at < now() - interval '30 days'
  AND substring(producer FROM ':([0-9]{16})$')::bigint
      < extract(epoch FROM now() - interval '30 days') * 1000000
"""
_FORGET_MOST = """
DELETE FROM producer_position WHERE stream = %(stream)s AND producer IN (
    SELECT producer FROM producer_position WHERE stream = %(stream)s
    ORDER BY greatest(
        to_timestamp(substring(producer FROM ':([0-9]{16})$')::bigint / 1000000.0), seen_at
    ) DESC OFFSET %(most)s)
"""
MOST_PRODUCERS = 20_000
"""Incarnations of a stream's producers that are known: of those started or heard of last, as a streamer may
outlive any number of repairs."""


class PositionMoved(Exception):
    """The stream's position is not where we left it: somebody else processes this stream."""


class Progress(msgspec.Struct, frozen=True):
    """How far one producer's batches are stored."""

    n: int
    seen_at: int
    """Market time of the newest record of the last batch; microseconds UTC, like the other."""
    unbroken_since: int | None = None
    """Batches were lost before this moment: nothing may be said to be unbroken across it."""


def load_position(connection: Connection, stream: str) -> str:
    """The entry up to which everything is stored."""
    connection.execute(_BEGIN, (stream, BEGINNING))
    row = connection.execute(_POSITION, (stream,)).fetchone()
    assert row is not None, "it was inserted a line ago"
    return str(row[0])


def move_position(connection: Connection, stream: str, before: str, after: str) -> None:
    """Compare and set; raises PositionMoved."""
    if connection.execute(_MOVE, (after, stream, before)).rowcount != 1:
        raise PositionMoved(f"the position of {stream} is not {before} any more: another process moved it")


def make_durable(connection: Connection, stream: str, position: str) -> None:
    """Wait until the disk holds everything up to this stored position; raises PositionMoved.

    A commit that waits for the disk takes along what was committed before it without waiting. It has to
    write something for that.
    """
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        if connection.execute(_TOUCH, (stream, position)).rowcount != 1:
            raise PositionMoved(
                f"the position of {stream} is not {position} any more: another process moved it"
            )


def load_producers(connection: Connection, stream: str) -> dict[str, Progress]:
    """Of every producer that ever wrote to the stream, less those long gone."""
    return {
        producer: Progress(n, microseconds_of(seen), None if unbroken is None else microseconds_of(unbroken))
        for producer, n, seen, unbroken in connection.execute(_PRODUCERS, (stream,))
    }


def save_producers(connection: Connection, stream: str, changed: Collection[tuple[str, Progress]]) -> None:
    """Each producer's new progress."""
    rows = sorted(changed)
    connection.execute(
        _SAVE,
        (
            stream,
            [producer for producer, _ in rows],
            [progress.n for _, progress in rows],
            [moment(progress.seen_at) for _, progress in rows],
            [optional_moment(progress.unbroken_since) for _, progress in rows],
        ),
    )


def forget_producers(connection: Connection, stream: str) -> int:
    """Drop incarnations that have long ended; returns how many."""
    ended = connection.execute(_FORGET, (stream,)).rowcount
    return ended + connection.execute(_FORGET_MOST, {"stream": stream, "most": MOST_PRODUCERS}).rowcount
