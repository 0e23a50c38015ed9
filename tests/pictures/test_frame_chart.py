"""A chart of what ``read.candles`` gives."""

from __future__ import annotations

from decimal import Decimal

from tests.pictures.looking import decoded
from tests.processors.feeding import kline
from tests.recorded import HOUR_ONE, every, record
from trade_platform import read
from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.model import MINUTE
from trade_platform.pictures.frame_chart import candlesticks, chart_of, heading_of


def test_a_frame_becomes_candles_exactly(connection: Connection) -> None:
    record(connection, every(20, HOUR_ONE, HOUR_ONE + 3 * MINUTE))
    frame = read.candles("BTCUSDT", url=connection)
    first, second, _ = candlesticks(frame)
    assert (first.open_time, second.open_time) == (HOUR_ONE, HOUR_ONE + MINUTE)
    assert (first.open, first.volume, first.complete) == (Decimal("100.5"), Decimal("0.75"), False)
    assert second.complete
    assert heading_of(frame).source == "made of trades"
    assert decoded(chart_of(frame))


def test_the_heading_says_where_sources_are_mixed(connection: Connection) -> None:
    record(connection, [kline(HOUR_ONE)])
    assert heading_of(read.candles("BTCUSDT", url=connection)).source == "as the exchange reports them"
    record(connection, every(20, HOUR_ONE + MINUTE, HOUR_ONE + 3 * MINUTE))
    assert "elsewhere" in heading_of(read.candles("BTCUSDT", url=connection)).source
