"""Every five minutes: roll up what is newer than its roll-up, of all instruments at once."""

import dagster as dg

from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.ohlc.days import OWNERS
from trade_platform.defs.stores import Stores
from trade_platform.operations.candles import refresh_all


@dg.op
def roll_up_what_is_newer(context: dg.OpExecutionContext, stores: Stores) -> None:
    """No materialisation a partition: the running day's buckets change all day long. One observation each."""
    with in_a_sentence(), stores.database("candles_refresh") as connection:
        refreshed = refresh_all(connection, now=stores.clock().market())
    for interval, buckets in refreshed.buckets.items():
        said = {"buckets": buckets, "changed": refreshed.changed[interval]}
        context.log_event(dg.AssetObservation(asset_key=[f"candles_{interval}"], metadata=said))


@dg.job(
    description="Roll-ups of exactly those buckets whose minutes are newer.",
    owners=OWNERS,
    executor_def=dg.in_process_executor,
)
def candles_refresh() -> None:
    """One op."""
    roll_up_what_is_newer()


SCHEDULE = dg.ScheduleDefinition(
    name="candles_refresh",
    job=candles_refresh,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every five minutes by the wall clock.",
)
