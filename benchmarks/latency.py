"""Socket → Redis → row committed, message by message, at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import psycopg

from benchmarks.figures import Count, Figure, Findings, percentile, void_unless
from benchmarks.frames import FIRST, SYMBOLS
from benchmarks.procfs import memory_of
from benchmarks.stage import KEY, Part, Stage, wait_until
from benchmarks.tally import Arrived, handed_over, trades_held, trades_on
from trade_platform.adapters.bus import market_stream

RATE: Final = 2000
WARM_UP_FRAMES: Final = 700 * len(SYMBOLS)
"""The same for each symbol, so that one sequence divides them from what counts."""
STREAM: Final = market_stream(KEY)

_LATENCIES: Final = """
SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - receive_time)::float8 * 1000,
       extract(epoch FROM pg_xact_commit_timestamp(xmin) - event_time)::float8 * 1000
FROM trade WHERE sequence >= %s
"""
_POSITION: Final = "SELECT entry_id FROM stream_position WHERE stream = %s"
_FLUSHES: Final = "SELECT wal_sync, wal_sync_time FROM pg_stat_wal"


def measure(stage: Stage, *, seconds: int) -> Findings:
    """Streamer and processor, both real, free to run on any core."""
    with stage.part() as part, psycopg.connect(part.database_url, autocommit=True) as connection:
        exchange = part.exchange()
        processor = part.processor(STREAM)
        streamer = part.streamer(exchange)
        for child in (processor, streamer):
            stage.cores.release(child.pid or 0)
        exchange.pace(RATE, WARM_UP_FRAMES)
        wait_until(lambda: not exchange.state()["sending"], "The warm-up's end", 30, exchange.child)
        first = max(exchange.state()["last"].values()) + 1
        flushes = _flushes(connection)
        exchange.pace(RATE, RATE * seconds)
        time.sleep(seconds)
        wait_until(lambda: not exchange.state()["sending"], "The exchange's end", 30, exchange.child)
        last = exchange.state()["last"]
        wait_until(lambda: handed_over(part.redis, KEY) == last, "All trades in Redis", 30, streamer)
        arrived = [one for one in trades_on(part.redis, STREAM) if one.trade.sequence >= first]
        wait_until(lambda: _caught_up(part, connection), "The processor at the stream's end", 30, processor)
        rows = connection.execute(_LATENCIES, (first,)).fetchall()
        flush = _per_flush(flushes, _flushes(connection))
        held = trades_held(connection, last)
        memory = [memory_of(child.pid or 0) for child in (streamer, processor)]
        for child in (streamer, processor):
            part.stop(child)
    sent = sum(last.values()) - len(SYMBOLS) * (FIRST - 1)
    counts = [
        Count("Rows whose latency was taken", RATE * seconds, len(rows)),
        Count("Rows of trades", sent, held[0]),
        Count("Trades in coverage", sent, held[1]),
    ]
    figures = _figures(rows, arrived, flush, seconds)
    figures += [
        Figure(work=f"{name}: peak memory at {RATE:,}/s", value=one.peak, unit="MB", how="VmHWM at the end")
        for name, one in zip(("streamer", "processor"), memory, strict=True)
    ]
    return void_unless(counts, figures)


def _figures(
    rows: Sequence[tuple[float, float]], arrived: Sequence[Arrived], flush: float, seconds: int
) -> list[Figure]:
    at = f"{RATE:,}/s for {seconds} s"
    stamped = f"{at}, {len(rows):,} rows; commit timestamp - receive_time"
    return [
        *_three(
            "socket → committed", [row[0] for row in rows],
            f"{stamped}; the flush of the WAL comes on top, {flush:.1f} ms on the average here",
        ),
        *_three(
            "sent by the exchange → committed", [row[1] for row in rows],
            "the same rows; commit timestamp - event_time, whole milliseconds: up to 1 ms too long",
        ),
        *_three(
            "socket → on the Redis stream",
            [max(one.taken - one.trade.receive_time / 1000, 0.0) for one in arrived],
            f"{at}, {len(arrived):,} trades; entry id - receive_time, whole ms: up to 1 ms too short",
        ),
    ]  # fmt: skip


def _three(way: str, values: Sequence[float], how: str) -> list[Figure]:
    """Middle, tail and worst; the first line says how they were taken."""
    found = {"p50": percentile(values, 50), "p99": percentile(values, 99), "longest": max(values)}
    return [
        Figure(
            work=f"latency: {way}, {name}", value=value, unit="ms", how=how if name == "p50" else "the same",
        )
        for name, value in found.items()
    ]  # fmt: skip


def _caught_up(part: Part, connection: psycopg.Connection) -> bool:
    end = part.redis.xinfo_stream(STREAM)["last-generated-id"].decode()
    position = connection.execute(_POSITION, (STREAM,)).fetchone()
    return position is not None and position[0] == end


def _flushes(connection: psycopg.Connection) -> tuple[int, float]:
    row = connection.execute(_FLUSHES).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def _per_flush(before: tuple[int, float], after: tuple[int, float]) -> float:
    """Milliseconds of one flush, on the average."""
    return (after[1] - before[1]) / max(after[0] - before[0], 1)
