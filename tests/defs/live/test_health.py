"""The sensor against real stores and a real instance."""

from __future__ import annotations

import dagster as dg
import pytest
from redis import Redis

from tests.operations.test_health import told, traded
from tests.processors.feeding import EXCHANGE
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.live.assets import connection_key, stream_key, table_key
from trade_platform.defs.live.health import checks, live_health
from trade_platform.defs.live.news import Event
from trade_platform.defs.stores import Stores


def tick(
    instance: dg.DagsterInstance, stores: Stores, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    result = live_health(context, stores=stores)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def report(instance: dg.DagsterInstance, events: list[Event]) -> None:
    """As the daemon does with what a tick returns."""
    for event in events:
        instance.report_runless_asset_event(event)


def test_a_tick_tells_the_state_once(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as bus:
        told(bus, 3.0, 2.0, 1.0)
    traded(connection)
    first = tick(instance, stores)
    assert isinstance(first, dg.SensorResult)
    assert {one.asset_key for one in first.asset_events} >= {
        *(connection_key(EXCHANGE), stream_key(f"market:{EXCHANGE}"), table_key("trade")),
    }
    second = tick(instance, stores, first.cursor)
    assert isinstance(second, dg.SensorResult)
    assert list(second.asset_events) == []
    assert second.skip_reason is not None


def test_the_instance_keeps_what_a_tick_told(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection, redis_url: str
) -> None:
    """The daemon's own way with a tick, over the whole code location."""
    with Redis.from_url(redis_url) as bus:
        told(bus, 130.0, 129.0, 128.0)
    result = tick(instance, stores)
    assert isinstance(result, dg.SensorResult)
    report(instance, list(result.asset_events))
    key = dg.AssetCheckKey(connection_key(EXCHANGE), "delivering")
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.evaluation is not None
    assert not record.evaluation.passed
    assert instance.get_latest_materialization_event(connection_key(EXCHANGE)) is None


def test_stores_that_are_away_are_a_reason_not_an_error(instance: dg.DagsterInstance, redis_url: str) -> None:
    result = tick(instance, Stores(database_url="postgresql://127.0.0.1:1/none", redis_url=redis_url))
    assert isinstance(result, dg.SkipReason)
    assert "refused" in str(result.skip_message)


@pytest.mark.parametrize("known", [True, False])
def test_a_person_may_ask_for_a_check(
    instance: dg.DagsterInstance,
    stores: Stores,
    connection: Connection,
    redis_url: str,
    known: bool,
) -> None:
    if known:
        with Redis.from_url(redis_url) as bus:
            told(bus, 3.0, 2.0, 1.0)
    key = dg.AssetCheckKey(connection_key(EXCHANGE), "delivering")
    (definition,) = [one for one in checks() if key in one.check_keys]
    outcome = dg.materialize(
        [definition],
        instance=instance,
        resources={"stores": stores},
        selection=dg.AssetSelection.checks(key),
    )
    (evaluation,) = outcome.get_asset_check_evaluations()
    assert evaluation.passed is known
