"""Every hour: all questions of the running day, without making anything anew, so that an alteration shows."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

import dagster as dg

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.ohlc.checks import CHECKS, evaluated, say
from trade_platform.defs.ohlc.days import OWNERS, PartitionDay, days_held
from trade_platform.defs.ohlc.standing import Standing, standings, unmade
from trade_platform.defs.ohlc.telling import as_it_stands
from trade_platform.defs.stores import Stores

TELL_HOURS: Final = 6
"""Everything is said so often; in between, what is new: an event is kept for weeks."""


class Days(dg.Config):
    """Which days are asked about, and what is said of them."""

    back: int = 0
    """So many before the running one, too."""
    only: list[str] = []  # noqa: RUF012 - pydantic copies it
    """Keys of partitions: these alone, of whichever day."""
    tell_all: bool = False
    """What each partition has now, and every answer; else the answers that are red or were not green."""


@dg.op
def prove_the_days(context: dg.OpExecutionContext, config: Days, stores: Stores) -> None:
    """All questions of each partition; the run succeeds whatever the answers are."""
    now = stores.clock().market()
    with in_a_sentence(), stores.database("prove_candles") as connection:
        days = [days_held(connection, day) for day in _days(config, day_of(now))]
        parts = [one for each in days for one in each if not config.only or one.key in config.only]
        untold = unmade(context.instance, [one.key for one in parts])
        for each in days:
            told = [one for one in each if one in parts and (config.tell_all or one.key in untold)]
            for event in as_it_stands(connection, told):
                context.log_event(event)
        answers = list(_answers(context.instance, connection, parts, now, tell_all=config.tell_all))
        say(context, answers)
    red = sum(not one.passed for one in answers)
    context.log.info("%s questions were asked, %s answers are red.", len(parts) * len(CHECKS), red)


def _days(config: Days, today: date) -> list[date]:
    """Oldest first."""
    if config.only:
        return sorted({date.fromisoformat(key.partition("|")[0]) for key in config.only})
    return [today - timedelta(days=back) for back in range(config.back, -1, -1)]


def _answers(
    instance: dg.DagsterInstance,
    connection: Connection,
    parts: Sequence[PartitionDay],
    now: int,
    *,
    tell_all: bool,
) -> Iterator[dg.AssetCheckEvaluation]:
    before = standings(instance, [one.key for one in parts])
    for one in parts:
        for check in CHECKS:
            answer = evaluated(check, connection, one, now, alone=False)
            if tell_all or not answer.passed or before[check, one.key] is not Standing.GREEN:
                yield answer


@dg.job(
    description="All checks of the running day, and of days before it, asked without making anything anew.",
    owners=OWNERS,
    executor_def=dg.in_process_executor,
)
def prove_candles() -> None:
    """One op."""
    prove_the_days()


@dg.schedule(
    name="prove_candles",
    job=prove_candles,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour by the wall clock; every sixth, all is said.",
)
def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Whatever is red is said each time."""
    tell_all = context.scheduled_execution_time.hour % TELL_HOURS == 0
    return dg.RunRequest(run_config=dg.RunConfig(ops={prove_the_days.name: Days(tell_all=tell_all)}))
