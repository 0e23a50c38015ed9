"""Every five minutes: the roll-ups of what is newer, and one observation of each interval."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from tests.operations.test_control import print_at
from tests.processors.feeding import Feeder, entry
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.ohlc.refreshing import SCHEDULE, candles_refresh
from trade_platform.defs.stores import Stores
from trade_platform.operations.candles import ROLLED


def test_what_is_newer_is_rolled_up_and_observed_without_a_partition(
    connection: Connection, instance: dg.DagsterInstance, stores: Stores
) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([print_at(n) for n in range(301)]))
    feeder.close_all()
    result = candles_refresh.execute_in_process(instance=instance, resources={"stores": stores})
    rows = connection.execute(
        "SELECT interval, count(*) FROM candle WHERE interval <> '1m' GROUP BY 1"
    ).fetchall()
    assert dict(rows)["5m"] == 2
    observed = {
        event.asset_observation_data.asset_observation.asset_key.path[-1]: event
        for event in result.all_events
        if event.is_asset_observation
    }
    assert set(observed) == {f"candles_{interval}" for interval in ROLLED}
    said = observed["candles_5m"].asset_observation_data.asset_observation
    assert (said.partition, said.metadata["changed"].value) == (None, 2)


def test_the_schedule_runs_every_five_minutes_by_the_wall_clock() -> None:
    at = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
    data = SCHEDULE.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at))
    assert len(data.run_requests or []) == 1
    assert SCHEDULE.cron_schedule == "*/5 * * * *"
    assert SCHEDULE.default_status is dg.DefaultScheduleStatus.RUNNING
