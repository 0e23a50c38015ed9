"""Open gaps are repaired: one run for all that are due, asked for by a sensor, and a sweep by the clock."""

import asyncio
from typing import Final

import dagster as dg
import msgspec

from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.live.assets import GROUP, OWNERS, table_key
from trade_platform.defs.runs import is_active
from trade_platform.defs.stores import Stores, unreachable
from trade_platform.domain.defences import Defence
from trade_platform.operations.due_repairs import Done, due_for_repair, repair_due

LOOK_SECONDS: Final = 5
ASSET: Final = dg.AssetKey("gap_repair")
JOB: Final = "repair_gaps"
PRIORITY: Final = "dagster/priority"
FIRST: Final = "1"
"""Before whatever else waits in the queue."""
BUSY: Final = "A repair is queued or running."


@dg.asset(
    key=ASSET,
    group_name=GROUP,
    owners=list(OWNERS),
    kinds={"python"},
    deps=[table_key("gap"), table_key("coverage")],
    pool="gap_repair",
    description=(
        "Reads what is missing again, by REST and from archives, sends it over the bus, and closes by proof. "
        "`trade-platform gaps repair` does the same."
    ),
)
def gap_repair(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """All gaps that are due."""
    with in_a_sentence():
        done = asyncio.run(_repair(stores))
    if done.busy:
        context.log.warning("Another process repairs already; nothing was done.")
    return dg.MaterializeResult(metadata=msgspec.to_builtins(done))


async def _repair(stores: Stores) -> Done:
    async with stores.desk("repair") as desk:
        return await repair_due(desk, without=stores.settings().without)


repair_gaps = dg.define_asset_job(
    JOB, selection=[ASSET], description="Repairs every gap that is due, and looks for holes nobody noted."
)


@dg.sensor(
    name="open_gaps",
    job_name=JOB,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for one repair when gaps are due and none is queued or running.",
)
def open_gaps(context: dg.SensorEvaluationContext, stores: Stores) -> dg.RunRequest | dg.SkipReason:
    """The run's key is made of the gaps and their attempts: the same work is asked for once."""
    with unreachable() as missing, stores.database() as connection:
        due = due_for_repair(connection, stores.clock().market())
    if missing:
        return dg.SkipReason(missing[0])
    if not due.gaps:
        return dg.SkipReason("No gap is due.")
    if Defence.REPAIR in stores.settings().without:
        return dg.SkipReason("The repair is left out, for a rehearsal.")
    if is_active(context.instance, JOB):
        return dg.SkipReason(BUSY)
    tags = {"gaps": str(due.gaps), "exchanges": " ".join(due.exchanges), PRIORITY: FIRST}
    return dg.RunRequest(run_key=f"gaps:{due.key}", tags=tags)


@dg.schedule(
    name="sweep_gaps",
    job_name=JOB,
    cron_schedule="2-57/5 * * * *",  # not on the minute at which everybody begins something
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Looks for holes in coverage that nobody noted, and tries again what has waited.",
)
def sweep_gaps(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Nothing while a repair is queued or running."""
    return dg.SkipReason(BUSY) if is_active(context.instance, JOB) else dg.RunRequest(tags={"sweep": "true"})
