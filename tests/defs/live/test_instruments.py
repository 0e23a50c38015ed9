from __future__ import annotations

from typing import Any

import dagster as dg

from tests.operations.test_partitions import cover, listed
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.live.instruments import JOB, instrument_catalogue, instruments, list_instruments
from trade_platform.defs.partitions import INSTRUMENTS
from trade_platform.defs.stores import Stores


def tick(instance: dg.DagsterInstance, stores: Stores) -> Any:
    return instruments(dg.build_sensor_context(instance=instance), stores=stores)


def obey(instance: dg.DagsterInstance, result: dg.SensorResult) -> None:
    """As the daemon does."""
    for request in result.dynamic_partitions_requests or ():
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)


def known(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_dynamic_partitions(str(INSTRUMENTS.name)))


def test_partitions_follow_the_data(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection
) -> None:
    ids = listed(connection)
    assert isinstance(tick(instance, stores), dg.SkipReason)
    cover(connection, ids["BTCUSDT"])
    cover(connection, ids["BTC-1-C"])
    first = tick(instance, stores)
    obey(instance, first)
    assert known(instance) == {"binance_spot/BTCUSDT", "deribit/BTC-options"}
    assert isinstance(tick(instance, stores), dg.SkipReason)
    cover(connection, ids["BTC-2-C"])
    assert isinstance(tick(instance, stores), dg.SkipReason)  # the same family
    cover(connection, ids["ETHUSDT"])
    second = tick(instance, stores)
    obey(instance, second)
    assert "binance_spot/ETHUSDT" in known(instance)
    assert [one.run_key for one in first.run_requests] != [one.run_key for one in second.run_requests]


def test_a_partition_goes_with_its_last_data_and_not_with_its_expiry(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection
) -> None:
    ids = listed(connection)
    cover(connection, ids["BTC-1-C"])
    obey(instance, tick(instance, stores))
    connection.execute("UPDATE instrument SET expiry = '2026-01-01', status = 'closed'")
    assert isinstance(tick(instance, stores), dg.SkipReason)
    connection.execute("DELETE FROM coverage")
    obey(instance, tick(instance, stores))
    assert known(instance) == set()


def test_a_listing_that_has_not_ended_is_not_asked_for_again(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection
) -> None:
    job = dg.Definitions(
        assets=[instrument_catalogue], jobs=[list_instruments], resources={"stores": stores}
    ).resolve_job_def(JOB)
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    cover(connection, listed(connection)["BTCUSDT"])
    result = tick(instance, stores)
    assert list(result.run_requests) == []
    obey(instance, result)
    assert known(instance) == {"binance_spot/BTCUSDT"}


def test_the_catalogue_counts_what_is_listed(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection
) -> None:
    ids = listed(connection)
    cover(connection, ids["BTCUSDT"])
    outcome = dg.materialize([instrument_catalogue], instance=instance, resources={"stores": stores})
    (event,) = outcome.asset_materializations_for_node("instrument_catalogue")
    assert (event.metadata["listed"].value, event.metadata["recorded"].value) == (5, 1)
    rows = [row.data for row in event.metadata["by exchange, kind and state"].records]
    assert {
        "exchange": "binance_spot",
        "kind": "spot",
        "state": "not told",
        "listed": 2,
        "recorded": 1,
    } in rows
