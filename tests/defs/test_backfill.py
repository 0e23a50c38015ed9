"""Past days from Dagster: real stores, a processor, the market on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from tests.operations.past import SYMBOL, TODAY, Past, target_of
from tests.operations.spot import numbers_of, processing
from tests.processors.feeding import NOON, STREAM
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.backfill import definitions
from trade_platform.defs.backfill.assets import ASSET, trades_backfill
from trade_platform.defs.stores import KEY, Stores
from trade_platform.domain.market_clock import MarketClock

PARTITION = f"binance_spot/{SYMBOL}"


@pytest.fixture
def running(postgres_url: str, redis_url: str) -> Iterator[None]:
    with processing(postgres_url, redis_url, STREAM):
        yield


@contextmanager
def serving(past: Past) -> Iterator[None]:
    """On a loop of its own: an asset runs one itself."""
    begun, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with past.serving():
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert begun.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
        loop.close()


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        found.add_dynamic_partitions("instrument", [PARTITION])
        yield found


def materialise(
    found: dg.DagsterInstance, stores: Stores, *days: str, raise_on_error: bool = True
) -> dg.ExecuteInProcessResult:
    """One run over a range of days, as a backfill of the page makes it."""
    keys = [dg.MultiPartitionKey({"instrument": PARTITION, "day": day}) for day in days]
    tags = {
        "dagster/asset_partition_range_start": str(keys[0]),
        "dagster/asset_partition_range_end": str(keys[-1]),
    }
    return dg.materialize(
        [trades_backfill],
        resources={KEY: stores},
        instance=found,
        tags=tags,
        raise_on_error=raise_on_error,
    )


def known(connection: Connection) -> None:
    """A partition is an instrument of which something is stored."""
    target = target_of(connection)
    connection.execute(
        "INSERT INTO candle (instrument_id, interval, open_time, source, volume, quote_volume, trades, "
        "complete, receive_time) VALUES (%s, '1m', '2026-01-01', 'exchange', 0, 0, 0, true, now())",
        (target.instrument_id,),
    )


@pytest.fixture
def stores(postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    clock = MarketClock(origin=NOON + 7200 * 1_000_000, anchor=0, speed=0.000001)
    monkeypatch.setenv("MARKET_CLOCK", clock.to_text())
    return Stores(database_url=postgres_url, redis_url=redis_url, data_folder=str(tmp_path))


def test_one_run_reads_all_its_days_and_tells_each(
    running: None,
    connection: Connection,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past = Past()
    known(connection)
    days = [past.day(-3), past.day(-2)]
    with serving(past), instance() as found:
        monkeypatch.setenv("BINANCE_SPOT_REST_URL", past.url)
        result = materialise(found, stores, *map(str, days))
        assert result.success
        events = result.asset_materializations_for_node("trades_backfill")
        told = {event.partition: event.metadata for event in events}
    assert set(told) == {f"{day}|{PARTITION}" for day in days}
    first = told[f"{days[0]}|{PARTITION}"]
    assert (first["state"].value, first["minutes"].value, first["complete_minutes"].value) == (
        *("whole", 1440, 1440),
    )
    own = past.of(*days)
    assert numbers_of(connection) == [own[0] - 1, *own, own[-1] + 1]


def test_a_day_that_is_not_whole_fails_the_run_and_the_others_are_kept(
    running: None,
    connection: Connection,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past = Past()
    known(connection)
    past.left_out = set(past.of(past.day(-2))[10:20])
    with serving(past), instance() as found:
        monkeypatch.setenv("BINANCE_SPOT_REST_URL", past.url)
        result = materialise(found, stores, str(past.day(-3)), str(past.day(-2)), raise_on_error=False)
        assert not result.success
        failure = result.failure_data_for_node("trades_backfill")
        kept = found.get_materialized_partitions(ASSET)
    assert failure is not None
    assert f"{past.day(-2)}: lacking, REST leaves out" in str(failure)
    assert kept == {f"{past.day(-3)}|{PARTITION}"}


def test_an_instrument_that_nobody_records_is_said_to_be_unknown(
    connection: Connection, stores: Stores
) -> None:
    with instance() as found:
        result = materialise(found, stores, str(TODAY), raise_on_error=False)
        assert "nothing of it is recorded" in str(result.failure_data_for_node("trades_backfill"))


def test_a_range_is_one_run_and_one_runs_at_a_time() -> None:
    (asset,) = definitions().assets or ()
    assert isinstance(asset, dg.AssetsDefinition)
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert asset.op.pool == "trades_backfill"
