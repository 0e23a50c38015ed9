"""Candles of many instruments' day, counted in one question."""

from __future__ import annotations

from tests.processors.feeding import NOON, Feeder, entry, kline, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.day_counts import Candles, count_candles
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import DAY, MINUTE


def test_own_minutes_are_counted_and_where_there_are_none_the_exchange_s(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([trade(n, NOON + n * MINUTE // 2) for n in range(1, 8)]))
    told = [kline(NOON + n * MINUTE) for n in range(3)]
    other = [kline(NOON + n * MINUTE, symbol="ETHUSDT", trades=4) for n in range(2)]
    feeder.apply(entry([*told, *other, kline(NOON + DAY, symbol="ETHUSDT")], 2))
    feeder.close_all()
    ids = dict(connection.execute("SELECT symbol, instrument_id FROM instrument").fetchall())
    found = count_candles(connection, list(ids.values()), day_of(NOON))
    assert found[ids["BTCUSDT"], "1m"] == Candles(candles=4, complete=3, trades=7)
    assert found[ids["ETHUSDT"], "1m"] == Candles(candles=2, complete=2, trades=8)
    assert count_candles(connection, [], day_of(NOON)) == {}
