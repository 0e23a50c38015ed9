"""What is asked for by day and instrument: one partition a UTC day and instrument, or family of them."""

from __future__ import annotations

from typing import Final

import dagster as dg

from trade_platform.settings import settings_from

_SETTINGS: Final = settings_from()
FIRST_DAY: Final = _SETTINGS.first_day.isoformat()
INSTRUMENTS: Final = dg.DynamicPartitionsDefinition(name="instrument")
"""Keys as ``domain.families`` makes them; the sensor ``instruments`` adds and removes them."""
DAYS: Final = dg.DailyPartitionsDefinition(
    start_date=FIRST_DAY, end_offset=2 if _SETTINGS.market_clock else 1
)
"""UTC days, the running one among them; the next, too, where the market's clock may run ahead of ours."""
INSTRUMENT_DAYS: Final = dg.MultiPartitionsDefinition({"instrument": INSTRUMENTS, "day": DAYS})
