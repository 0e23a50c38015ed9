"""How the checks of instruments' days stand, as Dagster's own tables tell: nothing is remembered here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum, auto
from typing import Final, TypeAlias

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)

from trade_platform.defs.ohlc.checks import CHECKS, Check
from trade_platform.defs.runs import ACTIVE


class Standing(Enum):
    """What the last answer to one question about one partition was worth."""

    NEVER = auto()
    """It was never asked."""
    GREEN = auto()
    RED = auto()
    OUTDATED = auto()
    """Its partition was made again since, or the run that was to ask has ended without."""
    BUSY = auto()
    """A run is about to ask it."""


Asked: TypeAlias = tuple[Check, str]
"""One question about the partition of this key."""

_BY_KEY: Final = {dg.AssetCheckKey(dg.AssetKey([one.asset]), one.name): one for one in CHECKS}
_TOLD: Final = {
    AssetCheckExecutionRecordStatus.SUCCEEDED: Standing.GREEN,
    AssetCheckExecutionRecordStatus.FAILED: Standing.RED,
}


def standings(instance: dg.DagsterInstance, partitions: Collection[str]) -> Mapping[Asked, Standing]:
    """Of every check and each of these partitions: one query a check, however long the past is."""
    if not partitions:
        return {}
    told = instance.event_log_storage.get_asset_check_partition_info(
        list(_BY_KEY), partition_keys=list(partitions)
    )
    active = _active(
        instance, {one.latest_planned_run_id for one in told if one.latest_execution_status not in _TOLD}
    )
    found = {(check, key): Standing.NEVER for key in partitions for check in CHECKS}
    for one in told:
        if one.partition_key is not None:
            found[_BY_KEY[one.check_key], one.partition_key] = _standing(one, active)
    return found


def unmade(instance: dg.DagsterInstance, partitions: Collection[str]) -> set[str]:
    """Those of which it was never said that their minutes are made."""
    made = instance.get_latest_storage_id_by_partition(
        dg.AssetKey(["candles_1m"]), dg.DagsterEventType.ASSET_MATERIALIZATION, set(partitions)
    )
    return set(partitions) - made.keys()


def blocked(instance: dg.DagsterInstance, run_id: str, partitions: Collection[str]) -> set[str]:
    """Those of which this run itself found that what follows would be wrong."""
    blocking = [key for key, check in _BY_KEY.items() if check.blocking]
    told = instance.event_log_storage.get_asset_check_partition_info(
        blocking, partition_keys=list(partitions)
    )
    return {
        one.partition_key
        for one in told
        if one.latest_planned_run_id == run_id
        and one.partition_key is not None
        and one.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED
    }


def _standing(one: AssetCheckPartitionInfo, active: Collection[str]) -> Standing:
    if one.latest_execution_status not in _TOLD:
        return Standing.BUSY if one.latest_planned_run_id in active else Standing.OUTDATED
    if (one.latest_materialization_storage_id or 0) > one.latest_check_event_storage_id:
        return Standing.OUTDATED
    return _TOLD[one.latest_execution_status]


def _active(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> set[str]:
    wanted = sorted(filter(None, run_ids))
    if not wanted:
        return set()
    return set(instance.get_run_ids(filters=dg.RunsFilter(run_ids=wanted, statuses=ACTIVE)))
