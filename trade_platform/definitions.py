"""The table of contents of the code location: what Dagster loads."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs import accounts, backfill, completeness, live, maintenance, ohlc
from trade_platform.defs.stores import KEY, Stores


def build_definitions(stores: Stores | None = None) -> dg.Definitions:
    """All areas; ``stores`` replaces what the environment says."""
    return dg.Definitions.merge(
        live.definitions(),
        ohlc.definitions(),
        completeness.definitions(),
        backfill.definitions(),
        accounts.definitions(),
        maintenance.definitions(),
        dg.Definitions(resources={KEY: stores or Stores()}, executor=dg.in_process_executor),
    )


defs = build_definitions()
