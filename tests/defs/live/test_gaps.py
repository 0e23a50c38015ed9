"""From an open gap to one run, and from the run to a ledger that is closed by proof."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest

from tests.operations.spot import Market, Producer, noted, numbers_of, processing, stored
from tests.operations.test_due_repairs import age, note
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.gaps import open_gaps
from trade_platform.defs.live.gaps import BUSY, JOB, gap_repair, repair_gaps, sweep_gaps
from trade_platform.defs.live.gaps import open_gaps as sensor
from trade_platform.defs.runs import ACTIVE
from trade_platform.defs.stores import Stores


@contextmanager
def serving(market: Market) -> Iterator[str]:
    """The market's REST side in a loop of its own: the run has another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served = market.serving()
    try:
        yield asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result(30)
        asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def tick(instance: dg.DagsterInstance, stores: Stores) -> Any:
    return sensor(dg.build_sensor_context(instance=instance), stores=stores)


def run_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    job = dg.Definitions(assets=[gap_repair], jobs=[repair_gaps], resources={"stores": Stores()})
    instance.create_run_for_job(job.resolve_job_def(JOB), status=status)


def test_no_gap_no_run(instance: dg.DagsterInstance, stores: Stores) -> None:
    assert isinstance(tick(instance, stores), dg.SkipReason)


def test_many_gaps_are_one_run(instance: dg.DagsterInstance, stores: Stores, connection: Connection) -> None:
    """An exchange comes back after hours, with hundreds of holes at once."""
    note(connection, *((10 * n, 10 * n + 3) for n in range(1, 700)))
    age(connection, 60)
    request = tick(instance, stores)
    assert isinstance(request, dg.RunRequest)
    assert request.tags["gaps"] == "699"
    assert len(open_gaps(connection, limit=1000)) == 699
    again = tick(instance, stores)
    assert again.run_key == request.run_key


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_no_run_is_asked_for_while_one_has_not_ended(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection, status: str
) -> None:
    note(connection, (2, 3))
    age(connection, 60)
    run_of(instance, dg.DagsterRunStatus(status))
    reason = tick(instance, stores)
    assert isinstance(reason, dg.SkipReason)
    assert reason.skip_message == BUSY
    sweep = sweep_gaps(dg.build_schedule_context(instance=instance))
    assert isinstance(sweep, dg.SkipReason)


def test_a_queued_run_has_not_ended() -> None:
    assert dg.DagsterRunStatus.QUEUED in ACTIVE


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_run_that_has_ended_is_no_obstacle(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection, status: str
) -> None:
    note(connection, (2, 3))
    age(connection, 60)
    run_of(instance, dg.DagsterRunStatus(status))
    assert isinstance(tick(instance, stores), dg.RunRequest)
    assert isinstance(sweep_gaps(dg.build_schedule_context(instance=instance)), dg.RunRequest)


def test_a_rehearsal_without_repair_asks_for_none(
    instance: dg.DagsterInstance, stores: Stores, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITHOUT", "repair")
    note(connection, (2, 3))
    age(connection, 60)
    assert isinstance(tick(instance, stores), dg.SkipReason)


def test_a_database_that_is_away_is_a_reason_not_an_error(instance: dg.DagsterInstance) -> None:
    reason = tick(instance, Stores(database_url="postgresql://127.0.0.1:1/none"))
    assert isinstance(reason, dg.SkipReason)


def test_a_hole_is_seen_by_the_sensor_and_repaired_by_its_run(
    instance: dg.DagsterInstance,
    stores: Stores,
    connection: Connection,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = Market()
    market.trades["BTCUSDT"] = list(range(1, 101))
    producer = Producer(redis_url)
    with processing(str(stores.database_url), redis_url), serving(market) as url:
        monkeypatch.setenv("BINANCE_SPOT_REST_URL", url)
        producer.trades([*range(1, 21), *range(81, 101)])
        producer.send(noted(21, 80))
        asyncio.run(stored(connection, 40, 1))
        age(connection, 60)
        assert isinstance(tick(instance, stores), dg.RunRequest)
        outcome = dg.materialize([gap_repair], instance=instance, resources={"stores": stores})
        reason = tick(instance, stores)
    producer.client.close()
    assert numbers_of(connection) == list(range(1, 101))
    assert isinstance(reason, dg.SkipReason)
    (event,) = outcome.asset_materializations_for_node("gap_repair")
    told = {name: value.value for name, value in event.metadata.items()}
    assert (told["repaired"], told["open"], told["records"], told["busy"]) == (1, 0, 60, False)
