"""One day of one symbol's trades, as many as a busy one has, put into the table by COPY."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

import psycopg
from psycopg import sql

from trade_platform.adapters.database.connection import connect
from trade_platform.adapters.database.partitions import ensure_partitions, partition_name

TODAY: Final = date(2026, 11, 20)
SYMBOL: Final = "BTCUSDT"
FIRST: Final = 5_000_000_000
MILLISECONDS: Final = 86_400_000
LINES: Final = 20_000
_COPY: Final = """
COPY {} (instrument_id, event_time, sequence, price, quantity, side, first_id, last_id, flags, receive_time)
FROM STDIN
"""
_INSTRUMENT: Final = """
INSERT INTO instrument (exchange, symbol, kind, base, quote)
VALUES ('binance_spot', %s, 'spot', 'BTC', 'USDT')
RETURNING instrument_id
"""
_COVERAGE: Final = """
INSERT INTO coverage (instrument_id, channel, day, held)
VALUES (%s, 'trade', %s, int8multirange(int8range(%s, %s)))
"""


def fill(database_url: str, trades: int) -> int:
    """Store the day and its coverage; returns the instrument's number."""
    with connect(database_url, name="benchmark") as connection:
        ensure_partitions(connection, "trade", [TODAY])
        row = connection.execute(_INSTRUMENT, (SYMBOL,)).fetchone()
        assert row is not None
        table = sql.Identifier(partition_name("trade", TODAY))
        with connection.cursor() as cursor, cursor.copy(sql.SQL(_COPY).format(table)) as copy:
            for block in _blocks(row[0], trades):
                copy.write(block)
        connection.execute(_COVERAGE, (row[0], TODAY, FIRST, FIRST + trades))
        connection.execute("VACUUM (ANALYZE) trade")
        return int(row[0])


def size_of_day(database_url: str) -> int:
    """Megabytes of the day's table and its key."""
    with psycopg.connect(database_url) as connection:
        name = partition_name("trade", TODAY)
        row = connection.execute("SELECT pg_total_relation_size(%s) / 1000000", (name,)).fetchone()
        return int(row[0]) if row else 0


def _blocks(instrument_id: int, trades: int) -> Iterator[str]:
    lines = []
    for line in _lines(instrument_id, trades):
        lines.append(line)
        if len(lines) == LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _lines(instrument_id: int, trades: int) -> Iterator[str]:
    """A walk in ticks of 0.01, in bursts: half of the trades share a millisecond with another."""
    chance = random.Random(7)
    moments = sorted(chance.randrange(MILLISECONDS) for _ in range(trades // 2))
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    cents, second, prefix = 6_500_000, -1, ""
    for number in range(trades):
        moment = moments[min(number // 2, len(moments) - 1)]
        if moment // 1000 != second:
            second = moment // 1000
            prefix = f"{midnight + timedelta(seconds=second):%Y-%m-%d %H:%M:%S}"
        cents = max(100, cents + chance.choice((-3, -1, 0, 0, 1, 3)))
        lots, sequence = int(chance.expovariate(0.0005)) + 1, FIRST + number
        yield (
            f"{instrument_id}\t{prefix}.{moment % 1000:03}+00\t{sequence}"
            f"\t{cents // 100}.{cents % 100:02}\t{lots // 100_000}.{lots % 100_000:05}"
            f"\t{'buy' if lots & 1 else 'sell'}\t{sequence}\t{sequence}\t0"
            f"\t{prefix}.{moment % 1000:03}9+00\n"
        )
