"""Markets as they would have been recorded, for whoever reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.processors.feeding import EXCHANGE, NOON, Feeder, entry, trade
from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.model import Record, Trade
from trade_platform.domain.ohlc import HOUR

HOUR_ONE = NOON // HOUR * HOUR
"""An hour's opening."""


def record(connection: Connection, records: Sequence[Record], exchange: str = EXCHANGE) -> None:
    """Stored as the processor stores them, all running minutes closed."""
    feeder = Feeder(connection, market_stream(exchange))
    feeder.apply(entry(records, producer=f"test:{next(_numbers)}", exchange=exchange, since=HOUR_ONE - HOUR))
    feeder.close_all()


def every(
    seconds: float,
    start: int,
    end: int,
    *,
    first: int = 1,
    missing: Iterable[int] = (),
    symbol: str = "BTCUSDT",
) -> list[Trade]:
    """One trade each so many seconds of [start, end), numbered from ``first``; some are not there."""
    step = round(seconds * 1_000_000)
    lost = set(missing)
    return [
        trade(first + n, at, symbol=symbol)
        for n, at in enumerate(range(start, end, step))
        if first + n not in lost
    ]


_numbers = iter(range(1, 1_000_000))
