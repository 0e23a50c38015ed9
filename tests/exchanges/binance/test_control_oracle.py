"""Recorded klines against the minutes that we make of the recorded trades: equal in every field.

A message of the exchange is taken for final where the session holds every fill that it counts: the trades up
to there make the minute, and the message names its ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.processors.feeding import Feeder, entry
from trade_platform.adapters.bus import market_stream
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import DayCounts
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.control import FIELDS
from trade_platform.domain.model import Candle, Channel, Trade
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.operations.comparing import compare_stored
from trade_platform.operations.partitions import recorded_instruments

SESSIONS = {
    "binance_spot/2021-04-17_thin_symbols_aggtrade_kline_depth": 6,
    "binance_spot/2021-08-14_minute_crossing_aggtrade_kline_depth": 2,
}
"""File → messages of which the session holds every fill; the others, and USD-M: test_kline_oracle.py."""


@pytest.mark.parametrize("name", SESSIONS)
def test_recorded_klines_equal_our_minutes_in_every_field(
    name: str,
    connection: Connection,
    frames: Callable[[str], list[tuple[int, str]]],
    session: Callable[..., BinanceSession],
) -> None:
    exchange = name.partition("/")[0]
    cases = list(whole(*read(session, exchange, frames(name))))
    assert len(cases) == SESSIONS[name]
    feeder = Feeder(connection, market_stream(exchange))
    for number, (trades, candle) in enumerate(cases):
        alone = f"{candle.symbol}-{number}"  # each message stands for a minute of its own
        feeder.apply(
            entry([renamed(one, alone) for one in trades], 2 * number + 1, exchange=exchange),
            entry([renamed(candle, alone, closed=True)], 2 * number + 2, exchange=exchange),
        )
    feeder.close_all()
    for one in recorded_instruments(connection):
        (open_time,) = {candle.open_time for _, candle in cases if one.symbol.startswith(candle.symbol + "-")}
        outcome = compare_stored(connection, one, day_of(open_time))
        assert outcome.counts == DayCounts(compared=1, equal=1), one.symbol
    told = f"SELECT count(*) FROM candle WHERE source = 'exchange' AND num_nulls({', '.join(FIELDS)}) = 0"
    assert connection.execute(told).fetchone() == (len(cases),), "no field went uncompared"


def read(
    session: Callable[..., BinanceSession], exchange: str, recorded: list[tuple[int, str]]
) -> tuple[dict[str, list[Trade]], list[Candle]]:
    symbols = {text.partition('"s":"')[2].partition('"')[0] for _, text in recorded}
    wanted = [(symbol, one) for symbol in symbols for one in (Channel.AGGREGATE_TRADE, Channel.CANDLE)]
    ours = session(exchange, *wanted)
    trades: dict[str, list[Trade]] = defaultdict(list)
    candles: list[Candle] = []
    for receive_time, text in recorded:
        for output in ours.receive(text, receive_time):
            if isinstance(output, Trade):
                trades[output.symbol].append(output)
            elif isinstance(output, Candle) and output.trades:
                candles.append(output)
    return trades, candles


def whole(trades: dict[str, list[Trade]], candles: list[Candle]) -> Any:
    for candle in candles:
        assert candle.first_id is not None
        assert candle.last_id is not None
        own = [
            one
            for one in trades[candle.symbol]
            if candle.first_id <= one.first_id and one.last_id <= candle.last_id
        ]
        if sum(one.last_id - one.first_id + 1 for one in own) == candle.trades:
            yield own, candle


def renamed(record: Any, symbol: str, **changes: Any) -> Any:
    return msgspec.structs.replace(record, symbol=symbol, **changes)
