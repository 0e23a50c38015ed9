"""Redis stream → PostgreSQL: the real processor on a backlog, beside bare COPY of the same rows."""

from __future__ import annotations

import itertools as it
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from benchmarks.figures import Count, Figure, Findings, at_least, void_unless
from benchmarks.frames import FIRST, SYMBOLS, price_of, quantity_of
from benchmarks.procfs import cpu_seconds, cpu_seconds_of_children, memory_of
from benchmarks.stage import KEY, Part, Stage, wait_until
from benchmarks.tally import trades_held
from trade_platform.adapters.bus import Entry, encode, market_stream
from trade_platform.domain.model import MICROSECONDS, Instrument, InstrumentKind, Side, Trade, TradeFlag

STREAM: Final = market_stream(KEY)
ENTRY_TRADES: Final = 200
PER_SECOND: Final = 500
"""Of the backlog's own time."""
COPY_ROWS: Final = 20_000
DRAIN_SECONDS: Final = 180.0
PIPELINE_ENTRIES: Final = 100
BEGINNING: Final = "0-0"

_POSITION: Final = "SELECT entry_id FROM stream_position WHERE stream = %s"
_COMMITS: Final = """
SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8, count(*) FROM trade GROUP BY 1 ORDER BY 1
"""
_COLUMNS: Final = (
    "instrument_id", "event_time", "sequence", "price", "quantity", "side", "first_id", "last_id", "flags",
    "receive_time",
)  # fmt: skip
_TYPES: Final = (
    "int4", "timestamptz", "int8", "numeric", "numeric", "text", "int8", "int8", "int2", "timestamptz",
)  # fmt: skip


class Drain(msgspec.Struct, frozen=True):
    """What the processor did between its first commit and its last."""

    rows: int
    seconds: float
    commits: int
    cpu_seconds: float
    """Of the processor, for ``cpu_rows``."""
    cpu_rows: int
    server_cpu_seconds: float
    peak_megabytes: float


def measure(stage: Stage, *, trades: int) -> Findings:
    """The processor first, then the limits, all in one run and one database."""
    with stage.part() as part, psycopg.connect(part.database_url, autocommit=True) as connection:
        begin = time.time_ns() // 1000 - trades * MICROSECONDS // PER_SECOND
        end = _preload(part, trades, begin)
        drain = _drain(part, connection, end)
        last = {
            symbol: FIRST + len(range(place, trades, len(SYMBOLS))) - 1
            for place, symbol in enumerate(SYMBOLS)
        }
        rows, covered = trades_held(connection, last)
        letters = connection.execute("SELECT count(*) FROM dead_letter").fetchone()
        by_row = _copy_by_row(connection, trades, begin)
        as_bytes = _copy_as_bytes(connection)
    counts = [
        Count("Rows of trades after the backlog", trades, rows),
        Count("Trades in coverage after the backlog", trades, covered),
        Count("Dead letters", 0, letters[0] if letters else -1),
    ]
    return void_unless(counts, _figures(drain, trades / by_row, trades / as_bytes, trades))


def backlog(count: int, begin: int) -> Iterator[Trade]:
    """Trades of three instruments in turn, contiguous, at ``PER_SECOND`` of their own time."""
    for number in range(count):
        sequence = FIRST + number // len(SYMBOLS)
        event_time = (begin + number * MICROSECONDS // PER_SECOND) // 1000 * 1000
        yield Trade(
            SYMBOLS[number % len(SYMBOLS)], sequence,
            Decimal(price_of(sequence)), Decimal(quantity_of(sequence)),
            Side.SELL if sequence % 2 else Side.BUY, event_time, event_time + 700, sequence, sequence,
            int(TradeFlag.AGGREGATE),
        )  # fmt: skip


def _preload(part: Part, count: int, begin: int) -> str:
    """Write the backlog to the stream; the id of its last entry."""
    listing = [
        Instrument(symbol=one, kind=InstrumentKind.PERPETUAL, base=one[:3], quote="USDT", status="TRADING")
        for one in SYMBOLS
    ]
    pipeline = part.redis.pipeline(transaction=False)
    pipeline.xadd(STREAM, _entry("instrument", 1, begin, encode(listing)))
    trades = backlog(count, begin)
    for n in it.count(2):
        batch = list(it.islice(trades, ENTRY_TRADES))
        if batch:
            pipeline.xadd(STREAM, _entry("trade", n, begin, encode(batch)))
        if not batch or len(pipeline) == PIPELINE_ENTRIES:
            pipeline.execute()
        if not batch:
            break
    identity: bytes = part.redis.xinfo_stream(STREAM)["last-generated-id"]
    return identity.decode()


def _entry(kind: str, n: int, since: int, data: bytes) -> Any:
    return Entry(kind, "streamer-of-the-backlog:1", n, since, KEY, data).fields()


def _drain(part: Part, connection: psycopg.Connection, end: str) -> Drain:
    """Start the processor on the backlog and wait until it has stored the last entry."""
    processor = part.processor(STREAM)
    pid, server = processor.pid or 0, part.stage.postgres.pid
    wait_until(lambda: _position(connection) != BEGINNING, "The first commit", DRAIN_SECONDS, processor)
    before, server_before = cpu_seconds(pid), cpu_seconds_of_children(server)
    ahead = int(_one(connection, "SELECT count(*) FROM trade"))
    wait_until(lambda: _position(connection) == end, "The end of the backlog", DRAIN_SECONDS, processor)
    cpu, server_cpu = cpu_seconds(pid) - before, cpu_seconds_of_children(server) - server_before
    memory = memory_of(pid)
    part.stop(processor)
    commits = connection.execute(_COMMITS).fetchall()
    rows = sum(count for _, count in commits)
    (began, first), (ended, _) = commits[0], commits[-1]
    return Drain(rows - first, ended - began, len(commits), cpu, rows - ahead, server_cpu, memory.peak)


def _position(connection: psycopg.Connection) -> str:
    row = connection.execute(_POSITION, (STREAM,)).fetchone()
    return str(row[0]) if row else BEGINNING


def _one(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _copy_by_row(connection: psycopg.Connection, count: int, begin: int) -> float:
    """Seconds that psycopg's COPY takes, row by row, a transaction for every ``COPY_ROWS``."""
    _make_copy(connection)
    statement = sql.SQL("COPY trade_copy ({}) FROM STDIN (FORMAT binary)").format(
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
    )
    trades, seconds = backlog(count, begin), 0.0
    while rows := [_row(trade) for trade in it.islice(trades, COPY_ROWS)]:
        began = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                copy.write_row(row)
        seconds += time.perf_counter() - began
    return seconds


def _row(trade: Trade) -> tuple[object, ...]:
    return (
        SYMBOLS.index(trade.symbol), datetime.fromtimestamp(trade.event_time / MICROSECONDS, UTC),
        trade.sequence, trade.price, trade.quantity, trade.side.value,
        trade.first_id, trade.last_id, trade.flags,
        datetime.fromtimestamp(trade.receive_time / MICROSECONDS, UTC),
    )  # fmt: skip


def _copy_as_bytes(connection: psycopg.Connection) -> float:
    """Seconds that the server takes for the same rows when nobody has to encode them."""
    with connection.cursor() as cursor, cursor.copy("COPY trade_copy TO STDOUT (FORMAT binary)") as copy:
        blocks = [bytes(block) for block in copy]
    _make_copy(connection)
    began = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy("COPY trade_copy FROM STDIN (FORMAT binary)") as copy:
        for block in blocks:
            copy.write(block)
    return time.perf_counter() - began


def _make_copy(connection: psycopg.Connection) -> None:
    """An empty table like trade, with its primary key, not partitioned."""
    connection.execute("DROP TABLE IF EXISTS trade_copy")
    connection.execute("CREATE TABLE trade_copy (LIKE trade INCLUDING ALL)")


def _figures(drain: Drain, by_row: float, as_bytes: float, trades: int) -> list[Figure]:
    rate = drain.rows / drain.seconds if drain.seconds else None
    cpu, server = (
        seconds * 1e6 / max(drain.cpu_rows, 1) for seconds in (drain.cpu_seconds, drain.server_cpu_seconds)
    )
    size = f"{trades:,} trades of {len(SYMBOLS)} instruments, {ENTRY_TRADES} an entry"
    return [
        Figure(
            work="processor: backlog → PostgreSQL", value=rate, unit="rows/s", limit=by_row,
            limit_is="psycopg COPY, row by row, into a copy of the table with its key",
            reach=at_least(60_000), gate=at_least(0.15),
            how=f"{size}, {drain.commits} commits; from the first commit to the last, by commit timestamps",
        ),
        Figure(
            work="the same, beside what the server can take", value=rate, unit="rows/s", limit=as_bytes,
            limit_is="COPY of the same rows as ready bytes, one transaction", how="the same backlog",
        ),
        Figure(
            work="processor: CPU", value=cpu, unit="µs/row",
            how="user + system time of the process, between the first commit and the last",
        ),
        Figure(
            work="PostgreSQL meanwhile: CPU", value=server, unit="µs/row",
            how="user + system time of the server's processes in the same while",
        ),
        Figure(
            work="processor: peak memory", value=drain.peak_megabytes, unit="MB",
            how="VmHWM after the backlog",
        ),
    ]  # fmt: skip
