"""The chart of one partition's minutes, where one instrument is asked for and the library is there."""

from __future__ import annotations

from typing import Any

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.stored_minutes import load_candles
from trade_platform.defs.ohlc.days import PartitionDay
from trade_platform.domain.model import MINUTE


def chart_of(connection: Connection, asked: PartitionDay) -> dict[str, Any]:
    """Metadata with the chart; nothing of a family, or of a day without candles."""
    if len(asked.instruments) != 1:
        return {}
    instrument = asked.instruments[0]
    candles = load_candles(connection, instrument.instrument_id, asked.day, "1m")
    own = [one for one in candles if one.source == "trade"] or candles
    if not own:
        return {}
    # Only a run that draws pays for the library.
    from trade_platform.defs.pictures import picture  # noqa: PLC0415
    from trade_platform.pictures.candle_chart import Candlestick, Heading, candle_chart  # noqa: PLC0415

    sticks = [
        Candlestick(one.open_time, one.open, one.high, one.low, one.close, one.volume, one.complete)
        for one in own
    ]
    heading = Heading(
        exchange=instrument.exchange,
        symbol=instrument.symbol,
        interval="1m",
        width=MINUTE,
        source="made of trades" if own[0].source == "trade" else "as the exchange reports them",
    )
    return {"chart": picture(candle_chart(sticks, heading))}
