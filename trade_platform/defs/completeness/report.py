"""The report: what of the last days is proven to be held, and whether a closed day lacks anything."""

from typing import Final

import dagster as dg

from trade_platform.defs.completeness.showing import shown
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.live.assets import OWNERS, table_key
from trade_platform.defs.stores import Stores
from trade_platform.operations.completeness import Completeness, completeness
from trade_platform.operations.pace import pace_of

ASSET: Final = dg.AssetKey("completeness_report")
CHECK: Final = "complete"
JOB: Final = "report_completeness"
MOST_NAMED: Final = 50


@dg.asset(
    key=ASSET,
    group_name="completeness",
    owners=list(OWNERS),
    kinds={"python"},
    deps=[table_key(name) for name in ("coverage", "candle", "gap", "trade")],
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=ASSET,
            description="No day that is over has a hole, but for what nobody serves again.",
        )
    ],
    description=(
        "How much of each hour of the last days is proven to be held, what is missing, how fast trades come "
        "and how late. `trade_platform.read.coverage()` gives the same to a program."
    ),
)
def completeness_report(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg] # with checks
    """Asked of the tables alone; nothing is repaired here."""
    with in_a_sentence(), stores.database("completeness_report") as connection:
        report = completeness(connection, stores.clock().market())
        pace = pace_of(connection, report)
    return dg.MaterializeResult(metadata=shown(report, pace), check_results=[_judged(report)])


def _judged(report: Completeness) -> dg.AssetCheckResult:
    holes = report.closed_holes
    named = [f"{one.day} {one.exchange} {one.symbol} {one.channel}: {one.missing:,}" for one in holes]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not holes,
        description=f"{len(holes):,} holes in closed days." if holes else "No closed day has a hole.",
        metadata={"holes": len(holes), **({"first of them": named[:MOST_NAMED]} if named else {})},
    )


report_completeness = dg.define_asset_job(
    JOB, selection=[ASSET], description="Looks at the last seven days of everything that is recorded."
)
hourly = dg.ScheduleDefinition(
    name="report_completeness_hourly",
    job=report_completeness,
    cron_schedule="3 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The report of the hour that has just ended.",
)
"""Three minutes after it: by then the last minute's trades are proven by those that follow."""
