"""The asset ``dagster_storage``: what Dagster keeps of itself, without what nobody looks up any more."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from trade_platform.adapters.database.dagster_storage import NoDagsterStorage
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.stores import Stores
from trade_platform.operations.dagster_tables import Days, prune


@dg.asset(
    group_name="maintenance",
    owners=["team:trading"],
    kinds={"postgres"},
    pool="dagster_storage",
    description="Dagster's own tables and logs, without what is older than DAGSTER_EVENT_DAYS, "
    "DAGSTER_RUN_DAYS and DAGSTER_TICK_DAYS. What the page shows of assets, partitions and checks stays.",
)
def dagster_storage(stores: Stores) -> dg.MaterializeResult[None]:
    """The same as `trade-platform maintain`."""
    from trade_platform.surroundings import NotHere, dagster_database  # noqa: PLC0415  an HTTP client

    settings = stores.settings()
    days = Days(
        events=settings.dagster_event_days, runs=settings.dagster_run_days, ticks=settings.dagster_tick_days
    )
    home = os.environ.get("DAGSTER_HOME")
    with in_a_sentence(NotHere, NoDagsterStorage), dagster_database(settings) as connection:
        done = prune(connection, days, now=datetime.now(UTC), home=Path(home) if home else None)
    return dg.MaterializeResult(metadata={one.what: one.count for one in done})


upkeep = dg.define_asset_job("upkeep", selection=dg.AssetSelection.assets(dagster_storage))
upkeep_daily = dg.ScheduleDefinition(
    name="upkeep_daily",
    job=upkeep,
    cron_schedule="17 4 * * *",
    description="Once a night: what Dagster would keep for ever is deleted.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
