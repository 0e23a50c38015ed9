"""Days of the past that a person asks for, from the page as from the terminal."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.backfill.assets import trades_backfill


def definitions() -> dg.Definitions:
    """The one asset: its partitions are what is asked for."""
    return dg.Definitions(assets=[trades_backfill])
