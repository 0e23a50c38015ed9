"""Every hour: all questions of the running day, without making anything anew, so that an alteration shows."""

from datetime import timedelta

import dagster as dg

from trade_platform.adapters.database.times import day_of
from trade_platform.defs.ohlc.checks import CHECKS, evaluations, say
from trade_platform.defs.ohlc.days import OWNERS, days_held
from trade_platform.defs.stores import Stores


class Days(dg.Config):
    """Which days are asked about."""

    back: int = 0
    """So many before the running one, too."""


@dg.op
def prove_the_days(context: dg.OpExecutionContext, config: Days, stores: Stores) -> None:
    """An evaluation of each check and partition; the run succeeds whatever they say."""
    now = stores.clock().market()
    days = [day_of(now) - timedelta(days=back) for back in range(config.back, -1, -1)]
    with stores.database("prove_candles") as connection:
        held = [one for day in days for one in days_held(connection, day)]
        say(context, evaluations(CHECKS, connection, held, now))


@dg.job(
    description="All checks of the running day, and of days before it, asked without making anything anew.",
    owners=OWNERS,
    executor_def=dg.in_process_executor,
)
def prove_candles() -> None:
    """One op."""
    prove_the_days()


PROOF = dg.ScheduleDefinition(
    name="prove_candles",
    job=prove_candles,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour by the wall clock.",
)
