"""A market day is over and wholly held: one run makes the final candles and control totals of all of them."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from datetime import date
from typing import Final

import dagster as dg
import msgspec

from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.ohlc.candles import minutes_metadata, rolled_metadata
from trade_platform.defs.ohlc.checks import CHECKS, evaluations, say
from trade_platform.defs.ohlc.control import control_metadata
from trade_platform.defs.ohlc.days import OWNERS, PartitionDay, key_of
from trade_platform.defs.ohlc.telling import made
from trade_platform.defs.partitions import DAYS, INSTRUMENTS
from trade_platform.defs.runs import is_active
from trade_platform.defs.stores import Stores, unreachable
from trade_platform.operations.closing import ClosedDay, DueDay, close_day, due_days, partitions_of

RETRY_SECONDS: Final = 900.0
"""Between two runs that were asked for the same days: the first has failed, or an exchange is away."""
TICK_SECONDS: Final = 60


@dg.op
def close_the_days(context: dg.OpExecutionContext, stores: Stores) -> None:
    """Whatever is due now; the run says of each partition what an asset's own run would say."""
    with in_a_sentence():
        with stores.database("close_days") as connection:
            due = due_days(connection, stores.clock().market(), first_day=_first_day())
        closed = asyncio.run(_close(stores, due))
        days = _partitions(closed)
        for day, parts in days:
            for event in materializations(day, parts):
                context.log_event(event)
        with stores.database("close_days") as connection:
            now = stores.clock().market()
            say(context, evaluations(CHECKS, connection, [day for day, _ in days], now))
    if unanswered := {one.comparison.unanswered for one in closed if one.comparison.unanswered}:
        raise dg.Failure("; ".join(sorted(unanswered)))


@dg.job(
    description="Final candles and control totals of each day that is over and wholly held.",
    owners=OWNERS,
    executor_def=dg.in_process_executor,
)
def close_days() -> None:
    """One op."""
    close_the_days()


class Cursor(msgspec.Struct, frozen=True):
    """What was asked for last, to tell days that stay from days that are new."""

    digest: str = ""
    at: float = 0.0


@dg.sensor(
    job=close_days,
    minimum_interval_seconds=TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Market days that are over and wholly held are closed, once; what is whole later, later.",
)
def day_closed(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult | dg.SkipReason:
    """One run for all that is due; none while one is on its way."""
    with unreachable() as missing, stores.database("day_closed") as connection:
        due = due_days(connection, stores.clock().market(), first_day=_first_day())
    if missing:
        return dg.SkipReason(missing[0])
    if not due:
        return dg.SkipReason("Every day that is over and wholly held is closed.")
    if is_active(context.instance, close_days.name):
        return dg.SkipReason("A run that closes days is on its way.")
    before = msgspec.json.decode(context.cursor, type=Cursor) if context.cursor else Cursor()
    now, digest = time.time(), _digest(due)
    if digest == before.digest and now < before.at + RETRY_SECONDS:
        return dg.SkipReason(f"The run for these {len(due)} days left them open: it is tried again later.")
    known = set(context.instance.get_dynamic_partitions(str(INSTRUMENTS.name)))
    absent = sorted(partitions_of(due) - known)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"{digest}:{now:.0f}", tags={"days": str(len(due))})],
        dynamic_partitions_requests=[INSTRUMENTS.build_add_request(absent)] if absent else [],
        cursor=msgspec.json.encode(Cursor(digest, now)).decode(),
    )


def materializations(day: PartitionDay, parts: Sequence[ClosedDay]) -> list[dg.AssetMaterialization]:
    """What was made of one partition."""
    built = [one.built for one in parts]
    said = {
        "candles_1m": minutes_metadata(built),
        **{f"candles_{interval}": metadata for interval, metadata in rolled_metadata(built).items()},
        "control_totals": control_metadata([one.comparison for one in parts]),
    }
    return made(day.key, said)


async def _close(stores: Stores, due: Sequence[DueDay]) -> list[ClosedDay]:
    if not due:
        return []
    async with stores.desk("close_days") as desk:
        return [await close_day(desk, one) for one in due]


def _partitions(closed: Sequence[ClosedDay]) -> list[tuple[PartitionDay, list[ClosedDay]]]:
    found: dict[str, list[ClosedDay]] = {}
    for one in closed:
        found.setdefault(key_of(one.due.instrument.partition, one.due.day), []).append(one)
    return [
        (PartitionDay(key, tuple(one.due.instrument for one in parts), parts[0].due.day), parts)
        for key, parts in found.items()
    ]


def _digest(due: Sequence[DueDay]) -> str:
    text = " ".join(sorted(f"{one.instrument.instrument_id}/{one.day}" for one in due))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _first_day() -> date:
    return DAYS.start.date()
