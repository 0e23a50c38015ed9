"""What runs by itself, as the graph shows it, and what mends it."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.live import gaps, health, instruments
from trade_platform.defs.live.assets import external_assets


def definitions() -> dg.Definitions:
    """External assets and their health, the repair of gaps, the instruments."""
    return dg.Definitions(
        assets=[*external_assets(), gaps.gap_repair, instruments.instrument_catalogue],
        asset_checks=health.checks(),
        jobs=[gaps.repair_gaps, instruments.list_instruments],
        schedules=[gaps.sweep_gaps, instruments.hourly],
        sensors=[health.live_health, gaps.open_gaps, instruments.instruments],
    )
