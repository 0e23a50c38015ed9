"""What recording costs in rows a day: an estimate from what each channel does, no measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trade_platform.domain.model import Channel, InstrumentKind
from trade_platform.domain.selection import Wanted

_MINUTES = 24 * 60
_SECONDS = _MINUTES * 60
_OPTION_TICKER_METRICS: Final = 18
_TICKER_METRICS: Final[Mapping[str, int]] = {"binance_spot": 5, "binance_usdm": 5, "deribit": 13}
_QUOTE_METRICS: Final = 4
_MARK_METRICS: Final = 4
TRADE_CHANNELS: Final = frozenset({Channel.TRADE, Channel.AGGREGATE_TRADE})


def rows_a_day(
    wanted: Wanted,
    *,
    exchange: str,
    kind: InstrumentKind,
    quote_interval_ms: int,
    trades_a_day: int | None,
) -> int | None:
    """Upper bound of rows in a day; None where only the market decides and nothing was recorded yet.

    ``trades_a_day``: as recorded on the last whole or running day, scaled to 24 hours.
    """
    channel = wanted.channel
    if channel in TRADE_CHANNELS:
        return trades_a_day
    samples = _SECONDS * 1000 // max(quote_interval_ms, 100)
    if channel is Channel.CANDLE:
        return _MINUTES
    if channel is Channel.QUOTE:
        return _QUOTE_METRICS * samples
    if channel is Channel.TICKER:
        metrics = (
            _OPTION_TICKER_METRICS if kind is InstrumentKind.OPTION else _TICKER_METRICS.get(exchange, 10)
        )
        return metrics * samples
    if channel is Channel.MARK:
        return _MARK_METRICS * _SECONDS
    if channel in {Channel.INDEX, Channel.VOLATILITY}:
        return _SECONDS
    if channel is Channel.OPEN_INTEREST:
        return _MINUTES
    return None
