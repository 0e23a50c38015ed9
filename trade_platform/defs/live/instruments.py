"""Instruments: which partitions there are, and what the exchanges list."""

import hashlib
from typing import Final

import dagster as dg

from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.live.assets import GROUP, OWNERS, table_key
from trade_platform.defs.partitions import INSTRUMENTS
from trade_platform.defs.runs import is_active
from trade_platform.defs.stores import Stores, unreachable
from trade_platform.operations.catalogue import Counted, count_instruments
from trade_platform.operations.partitions import recorded_partitions

LOOK_SECONDS: Final = 30
ASSET: Final = dg.AssetKey("instrument_catalogue")
JOB: Final = "list_instruments"
MOST_NAMED: Final = 20


@dg.asset(
    key=ASSET,
    group_name=GROUP,
    owners=list(OWNERS),
    kinds={"postgres"},
    deps=[table_key("instrument"), table_key("instrument_state")],
    description="What the exchanges list, by kind and state, and how much of it is recorded.",
)
def instrument_catalogue(stores: Stores) -> dg.MaterializeResult[None]:
    """`trade-platform instruments` shows what is selected of it."""
    with in_a_sentence(), stores.database() as connection:
        counted = count_instruments(connection, stores.clock().market())
    return dg.MaterializeResult(
        metadata={
            "listed": sum(one.listed for one in counted),
            "recorded": sum(one.recorded for one in counted),
            "expired, with data": sum(one.expired for one in counted),
            "by exchange, kind and state": dg.MetadataValue.table([_row(one) for one in counted]),
        }
    )


def _row(one: Counted) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "exchange": one.exchange,
            "kind": one.kind,
            "state": one.status or "not told",
            "listed": one.listed,
            "recorded": one.recorded,
        }
    )


list_instruments = dg.define_asset_job(
    JOB, selection=[ASSET], description="Counts what the exchanges list, and what is recorded of it."
)
hourly = dg.ScheduleDefinition(
    name="list_instruments_hourly",
    job=list_instruments,
    cron_schedule="9 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The catalogue once an hour, changed or not.",
)


@dg.sensor(
    name="instruments",
    job_name=JOB,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Partitions of instruments and families: added with their first data, gone with their last.",
)
def instruments(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult | dg.SkipReason:
    """What has expired keeps its partition for as long as it holds data."""
    with unreachable() as missing, stores.database() as connection:
        recorded = set(recorded_partitions(connection))
    if missing:
        return dg.SkipReason(missing[0])
    known = set(context.instance.get_dynamic_partitions(str(INSTRUMENTS.name)))
    new, gone = sorted(recorded - known), sorted(known - recorded)
    if not new and not gone:
        return dg.SkipReason(f"{len(known)} partitions, none new, none gone.")
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if new:
        requests.append(INSTRUMENTS.build_add_request(new))
    if gone:
        requests.append(INSTRUMENTS.build_delete_request(gone))
    return dg.SensorResult(
        run_requests=[] if is_active(context.instance, JOB) else [_listing(recorded, new, gone)],
        dynamic_partitions_requests=requests,
    )


def _listing(recorded: set[str], new: list[str], gone: list[str]) -> dg.RunRequest:
    """One that has not begun yet counts what is new now, too."""
    tags = {"new": " ".join(new[:MOST_NAMED]), "gone": " ".join(gone[:MOST_NAMED])}
    return dg.RunRequest(run_key=f"instruments:{_content(recorded)}", tags=tags)


def _content(partitions: set[str]) -> str:
    return hashlib.sha256("\n".join(sorted(partitions)).encode()).hexdigest()[:24]
