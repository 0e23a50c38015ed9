from __future__ import annotations

import dagster as dg

from trade_platform.defs import maintenance
from trade_platform.defs.stores import KEY, Stores


def test_the_schedule_runs_by_itself_once_a_day() -> None:
    stores = dg.Definitions(resources={KEY: Stores()})
    repository = dg.Definitions.merge(maintenance.definitions(), stores).get_repository_def()
    schedule = repository.get_schedule_def("upkeep_daily")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "17 4 * * *"
    assert repository.get_job("upkeep").asset_layer.executable_asset_keys == {dg.AssetKey("dagster_storage")}
