"""What the clock alone asks for is asked for once at the beginning, and never twice."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.completeness.report import ASSET
from trade_platform.defs.maintenance.first import FIRST, first_runs
from trade_platform.defs.maintenance.storage import dagster_storage
from trade_platform.defs.partitions import INSTRUMENTS


def asked(instance: dg.DagsterInstance) -> list[str | None]:
    found = first_runs(dg.build_sensor_context(instance=instance))
    return [] if isinstance(found, dg.SkipReason) else [one.job_name for one in found.run_requests]


def test_nothing_is_asked_for_before_something_is_recorded(instance: dg.DagsterInstance) -> None:
    assert asked(instance) == []


def test_each_is_asked_for_until_it_was_made_by_the_same_key(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions(str(INSTRUMENTS.name), ["binance_spot/BTCUSDT"])
    assert asked(instance) == list(FIRST)
    keys = [
        [one.run_key for one in found.run_requests]
        for found in (first_runs(dg.build_sensor_context(instance=instance)) for _ in range(2))
        if isinstance(found, dg.SensorResult)
    ]
    assert keys[0] == keys[1]
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET))
    assert asked(instance) == ["upkeep"]
    instance.report_runless_asset_event(dg.AssetMaterialization(dagster_storage.key))
    assert asked(instance) == []
