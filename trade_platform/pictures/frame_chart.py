"""A chart of the DataFrame that ``trade_platform.read.candles`` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trade_platform.domain.ohlc import INTERVALS
from trade_platform.pictures.candle_chart import Candlestick, Heading, candle_chart
from trade_platform.pictures.style import Format

if TYPE_CHECKING:
    import pandas as pd

_PRICES = ("open", "high", "low", "close")
_SOURCES = {
    frozenset({"trade"}): "made of trades",
    frozenset({"exchange"}): "as the exchange reports them",
}
_MIXED = "made of trades, elsewhere as the exchange reports them"


def chart_of(
    frame: pd.DataFrame, *, start: int | None = None, end: int | None = None, kind: Format = "png"
) -> bytes:
    """Its candles, drawn. Raises ValueError where there are none, or too many for one chart."""
    return candle_chart(candlesticks(frame), heading_of(frame), start=start, end=end, kind=kind)


def candlesticks(frame: pd.DataFrame) -> list[Candlestick]:
    """Row by row, None where there is no price."""
    times = frame.index.as_unit("us").asi8.tolist()
    prices = [_or_none(frame[name]) for name in _PRICES]
    rest = (frame["volume"].tolist(), frame["complete"].tolist())
    return [Candlestick(*row) for row in zip(times, *prices, *rest, strict=True)]


def heading_of(frame: pd.DataFrame) -> Heading:
    """What the frame's ``attrs`` and its sources say."""
    told = frame.attrs
    return Heading(
        exchange=told["exchange"],
        symbol=told["symbol"],
        interval=told["interval"],
        width=INTERVALS[told["interval"]],
        source=_SOURCES.get(frozenset(frame["source"].unique()), _MIXED),
        unit=told.get("base", ""),
    )


def _or_none(series: Any) -> list[Any]:
    return [None if missing else value for value, missing in zip(series, series.isna(), strict=True)]
