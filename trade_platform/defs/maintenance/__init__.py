"""Dagster's own upkeep: its tables stay bounded."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.maintenance.first import first_runs
from trade_platform.defs.maintenance.storage import dagster_storage, upkeep, upkeep_daily

__all__ = ["definitions"]


def definitions() -> dg.Definitions:
    """What this area adds."""
    return dg.Definitions(
        assets=[dagster_storage], jobs=[upkeep], schedules=[upkeep_daily], sensors=[first_runs]
    )
