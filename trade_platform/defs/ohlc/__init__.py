"""Candles of every interval, and what proves them."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.ohlc.candles import candles_1m, roll_ups
from trade_platform.defs.ohlc.checks import asset_checks
from trade_platform.defs.ohlc.closing import close_days, day_closed
from trade_platform.defs.ohlc.control import control_totals
from trade_platform.defs.ohlc.proving import hourly, prove_candles
from trade_platform.defs.ohlc.refreshing import SCHEDULE, candles_refresh
from trade_platform.defs.ohlc.watching import candle_checks


def definitions() -> dg.Definitions:
    """Assets by instrument and day, their checks, and what makes them in time."""
    return dg.Definitions(
        assets=[candles_1m, roll_ups, control_totals],
        asset_checks=asset_checks(),
        jobs=[candles_refresh, close_days, prove_candles],
        schedules=[SCHEDULE, hourly],
        sensors=[day_closed, candle_checks],
    )
