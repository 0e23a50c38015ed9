"""``python -m benchmarks.candle_makers WHO URL INSTRUMENT``: makes the day's candles and says what it took.

A process of its own for each, so that its peak memory is its own. Imports are not timed.
"""

# ruff: noqa: PLC0415 - a process loads only what its own maker needs

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from benchmarks.candle_day import TODAY
from benchmarks.procfs import memory_of

RULES: Final = {"1m": "1min", "5m": "5min", "15m": "15min", "1h": "1h", "4h": "4h", "1d": "1D"}
START: Final = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
END: Final = START + timedelta(days=1)
NAIVE: Final = """
SELECT event_time, price, quantity, side FROM trade
WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
ORDER BY event_time, sequence
"""
FAIR: Final = """
COPY (SELECT (extract(epoch FROM event_time) * 1000000)::bigint, price::float8, quantity::float8,
             (side = 'buy')::int
      FROM trade WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
      ORDER BY event_time, sequence)
TO STDOUT (FORMAT csv)
"""
STORED: Final = """
SELECT open_time, open::float8, high::float8, low::float8, close::float8, volume::float8,
       quote_volume::float8, taker_buy_volume::float8, trades
FROM candle
WHERE instrument_id = %s AND interval = %s AND source = 'trade' AND open_time >= %s AND open_time < %s
ORDER BY open_time
"""

Candles = Mapping[str, Sequence[Sequence[float]]]
"""By interval: (opening in seconds, open, high, low, close, volume, quote volume, bought volume, trades)."""


class Made(msgspec.Struct, frozen=True):
    """What one maker did."""

    seconds: float
    again_seconds: float
    """The same once more, where that is asked; else 0."""
    peak_megabytes: float
    candles: Candles


def ours(url: str, instrument_id: int) -> Made:
    """``operations.candles.build_day``, which stores what it makes."""
    from trade_platform.adapters.database.connection import connect
    from trade_platform.adapters.database.times import microseconds_of
    from trade_platform.operations.candles import build_day

    now = microseconds_of(END)
    began = time.perf_counter()
    with connect(url, name="benchmark") as connection:
        build_day(connection, instrument_id, TODAY, now=now)
        done = time.perf_counter()
        build_day(connection, instrument_id, TODAY, now=now)
        again = time.perf_counter()
        peak = memory_of(os.getpid()).peak
        candles = {
            interval: [
                [row[0].timestamp(), *row[1:]]
                for row in connection.execute(STORED, (instrument_id, interval, START, END))
            ]
            for interval in RULES
        }
    return Made(done - began, again - done, peak, candles)


def naive(url: str, instrument_id: int) -> Made:
    """``pandas.read_sql`` and ``resample``, as one writes it first; nothing is stored."""
    import pandas as pd
    from sqlalchemy import create_engine, make_url, text

    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    names = ("instrument", "start", "end")
    statement = text(NAIVE.replace("%(", ":").replace(")s", ""))
    began = time.perf_counter()
    with engine.connect() as connection:
        frame = pd.read_sql(
            statement, connection, params=dict(zip(names, (instrument_id, START, END), strict=True))
        )
    engine.dispose()
    frame["bought"] = frame["side"] == "buy"
    return _resampled(frame.set_index("event_time"), began)


def fair(url: str, instrument_id: int) -> Made:
    """The same with what pandas can do: COPY of floats, read as columns; nothing is stored."""
    import pandas as pd
    import psycopg

    began = time.perf_counter()
    text = io.BytesIO()
    with psycopg.connect(url) as connection, psycopg.ClientCursor(connection) as cursor:
        statement = cursor.mogrify(FAIR, {"instrument": instrument_id, "start": START, "end": END})
        with cursor.copy(statement) as copy:
            for block in copy:
                text.write(block)
    text.seek(0)
    frame = pd.read_csv(text, names=["event_time", "price", "quantity", "bought"], engine="pyarrow")
    frame["bought"] = frame["bought"] == 1
    frame.index = pd.to_datetime(frame.pop("event_time"), unit="us", utc=True)
    return _resampled(frame, began)


def _resampled(frame: Any, began: float) -> Made:
    """``frame``: price, quantity and bought, by time."""
    frame["price"] = frame["price"].astype(float)
    frame["quantity"] = frame["quantity"].astype(float)
    frame["quote"] = frame["price"] * frame["quantity"]
    frame["taker"] = frame["quantity"].where(frame["bought"], 0.0)
    found = {}
    for interval, rule in RULES.items():
        buckets = frame.resample(rule)
        prices = buckets["price"].ohlc()
        sums = buckets[["quantity", "quote", "taker"]].sum()
        found[interval] = prices.join(sums).assign(trades=buckets["price"].count())
    seconds = time.perf_counter() - began
    peak = memory_of(os.getpid()).peak
    candles = {
        interval: [[row[0].timestamp(), *map(float, row[1:])] for row in table.itertuples()]
        for interval, table in found.items()
    }
    return Made(seconds, 0, peak, candles)


MAKERS: Final[Mapping[str, Callable[[str, int], Made]]] = {"ours": ours, "naive": naive, "fair": fair}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(MAKERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
