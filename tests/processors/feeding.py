"""Records and entries to feed a processor with, and what its tables hold afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg

from trade_platform.adapters.bus import KIND_OF, Entry, encode, market_stream
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.schema import metadata
from trade_platform.domain.model import MINUTE, Candle, Channel, Metric, Number, Record, Side, Trade
from trade_platform.processors.apply import Applied, apply, close_due, refresh_running
from trade_platform.processors.lane import Lane
from trade_platform.processors.reading import Reading, read_entry

EXCHANGE = "binance_spot"
STREAM = market_stream(EXCHANGE)
NOON = 1_790_000_000_000_000 // MINUTE * MINUTE
"""A minute's opening in September 2026."""
PATIENCE_SECONDS = 60.0


def trade(sequence: int, at: int = NOON, **changes: Any) -> Trade:
    """``at``: event time in microseconds."""
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "sequence": sequence,
        "price": Decimal("100.5"),
        "quantity": Decimal("0.25"),
        "side": Side.BUY,
        "event_time": at,
        "receive_time": at + 1500,
        "first_id": sequence,
        "last_id": sequence,
    }
    return Trade(**(fields | changes))


def number(at: int = NOON, **changes: Any) -> Number:
    """A best bid."""
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "metric": Metric.BEST_BID,
        "value": Decimal("100.5"),
        "event_time": at,
        "receive_time": at,
        "channel": Channel.QUOTE,
    }
    return Number(**(fields | changes))


def kline(open_time: int = NOON, **changes: Any) -> Candle:
    """A closed one."""
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "interval": "1m",
        "open_time": open_time,
        "open": Decimal("100.5"),
        "high": Decimal("100.5"),
        "low": Decimal("100.5"),
        "close": Decimal("100.5"),
        "volume": Decimal("0.25"),
        "quote_volume": Decimal("25.125"),
        "trades": 1,
        "taker_buy_volume": Decimal("0.25"),
        "taker_buy_quote_volume": Decimal("25.125"),
        "first_id": 1,
        "last_id": 1,
        "closed": True,
        "event_time": open_time + MINUTE,
        "receive_time": open_time + MINUTE + 1000,
    }
    return Candle(**(fields | changes))


def entry(
    records: Sequence[Record],
    n: int = 1,
    *,
    producer: str = "streamer:1",
    since: int = NOON - MINUTE,
    exchange: str = EXCHANGE,
) -> Entry:
    """One batch of records of one kind."""
    return Entry(KIND_OF[type(records[0])], producer, n, since, exchange, encode(records))


def raw(one: Entry) -> dict[bytes, bytes]:
    """As XREAD gives it."""
    return {
        name.encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in one.fields().items()
    }


class Feeder:
    """Hands entries to ``apply`` as the loop would, without Redis."""

    def __init__(self, connection: Connection, stream: str = STREAM, first_id: int = 1) -> None:
        self.connection = connection
        self.stream = stream
        self._ids = count(first_id)
        self.lane = self.load()

    def load(self) -> Lane:
        self.lane = Lane.load(self.connection, self.stream, lambda: date(2026, 12, 1))
        return self.lane

    def readings(self, entries: Iterable[Entry]) -> list[Reading]:
        return [read_entry(f"{next(self._ids)}-0", raw(one)) for one in entries]

    def apply(self, *entries: Entry, fold: bool = True) -> Applied:
        return apply(self.connection, self.lane, self.readings(entries), fold=fold)

    def close_all(self) -> None:
        """The clock passes every running minute."""
        due = self.lane.running.due(NOON * 2, 0)
        close_due(self.connection, self.lane, due)

    def refresh(self) -> int:
        """Take what a backlog left behind from the table; how many bars."""
        return len(refresh_running(self.connection, self.lane))


TABLES = {
    "trade": "SELECT * FROM trade ORDER BY instrument_id, event_time, sequence",
    "number": "SELECT n.*, name FROM number n JOIN metric USING (metric_id) ORDER BY 1, 2, 3, 4",
    "candle": "SELECT * FROM candle ORDER BY instrument_id, open_time, source",
    "coverage": "SELECT * FROM coverage ORDER BY instrument_id, channel, day",
    "time_coverage": "SELECT * FROM time_coverage ORDER BY instrument_id, channel, day",
    "liquidation": "SELECT * FROM liquidation ORDER BY 1, 2, 3",
    "gap": "SELECT exchange, symbol, channel, reason, first_sequence, last_sequence, since, until, detail "
    "FROM gap ORDER BY since, detail",
    "dead_letter": "SELECT entry_id, position, kind, exchange, data, error FROM dead_letter ORDER BY 1, 2",
    "instrument": "SELECT instrument_id, exchange, symbol, kind, quantity_unit FROM instrument ORDER BY 1",
}


def tables(connection: Connection, *names: str) -> dict[str, list[Any]]:
    """Everything that was stored."""
    return {name: connection.execute(TABLES[name]).fetchall() for name in names or TABLES}


def emptied(connection: Connection) -> Connection:
    """As the migrations left it, but for partitions, and what is of accounts."""
    names = ", ".join(name for name, table in metadata.tables.items() if "tenant_id" not in table.c)
    connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
    return connection


def held(connection: psycopg.Connection[Any]) -> int:
    """Sequence numbers that coverage holds."""
    statement = "SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM coverage, unnest(held) AS r"
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def until(condition: Callable[[], object], what: str) -> None:
    """Look every few milliseconds, generously: nothing here judges speed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.005)
