"""A day that is over becomes one run, once; what becomes whole later becomes another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from tests.defs.live.test_gaps import serving
from tests.defs.ohlc.test_candles import KEY, TODAY, WIDE
from tests.operations.spot import Producer, processing
from tests.operations.test_closing import LATER, MIDNIGHT
from tests.operations.test_control import Klines, minute, print_at
from tests.processors.feeding import NOON, Feeder, entry, trade, until
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs import ohlc
from trade_platform.defs.ohlc import closing
from trade_platform.defs.ohlc.closing import close_days, day_closed
from trade_platform.defs.ohlc.days import key_of
from trade_platform.defs.partitions import INSTRUMENTS
from trade_platform.defs.stores import Stores
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import MINUTE
from trade_platform.operations.closing import due_days


@pytest.fixture
def stores(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """The market's clock says that the day is over."""
    clock = MarketClock(origin=LATER, anchor=time.monotonic())
    monkeypatch.setenv("MARKET_CLOCK", clock.to_text())
    return stores


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    """Two instruments' day, and the beginning of the next; number 3 of the second is missing."""
    feeder = Feeder(connection)
    feeder.apply(entry([*(print_at(n) for n in range(301)), trade(301, MIDNIGHT + MINUTE)]))
    feeder.apply(entry([trade(n, NOON + n, symbol="ETHUSDT") for n in (1, 2, 4)], 2))
    feeder.apply(entry([trade(5, MIDNIGHT + MINUTE, symbol="ETHUSDT")], 3))
    return feeder


@pytest.fixture
def market(postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Klines]:
    market = Klines()
    market.trades["BTCUSDT"] = list(range(301))
    market.minutes["BTCUSDT"] = [minute(n) for n in range(6)]
    with processing(postgres_url, redis_url), serving(market) as url:
        monkeypatch.setenv("BINANCE_SPOT_REST_URL", url)
        yield market


def tick(instance: dg.DagsterInstance, stores: Stores, cursor: str | None = None) -> Any:
    return day_closed(dg.build_sensor_context(instance=instance, cursor=cursor), stores=stores)


def close(instance: dg.DagsterInstance, stores: Stores) -> dg.ExecuteInProcessResult:
    return close_days.execute_in_process(
        instance=instance, resources={"stores": stores}, raise_on_error=False
    )


def test_no_day_no_run(instance: dg.DagsterInstance, stores: Stores) -> None:
    assert isinstance(tick(instance, stores), dg.SkipReason)


def test_one_run_closes_what_is_whole_and_the_rest_later(
    feeder: Feeder, market: Klines, instance: dg.DagsterInstance, stores: Stores, redis_url: str
) -> None:
    first = tick(instance, stores)
    assert [one.tags for one in first.run_requests] == [{"days": "1"}]
    assert first.dynamic_partitions_requests == [INSTRUMENTS.build_add_request(["binance_spot/BTCUSDT"])]
    assert len(first.cursor) < 100

    result = close(instance, stores)
    assert result.success
    for name in ("candles_1m", *WIDE, "control_totals"):
        assert set(instance.get_materialized_partitions(dg.AssetKey([name]))) == {KEY}
    found = {
        one.check_name: one.passed for one in result.get_asset_check_evaluations() if one.partition == KEY
    }
    assert len(result.get_asset_check_evaluations()) == 11
    assert all(found.values()), found
    skipped = tick(instance, stores, first.cursor)
    assert isinstance(skipped, dg.SkipReason), "the same day never twice"
    assert "is closed" in str(skipped.skip_message)

    producer = Producer(redis_url, "streamer:2")
    producer.trades([3], "ETHUSDT")
    producer.client.close()
    with stores.database("test") as connection:
        until(lambda: due_days(connection, LATER), "the second instrument's day is whole")
    later = tick(instance, stores, first.cursor)
    assert [one.tags for one in later.run_requests] == [{"days": "1"}]
    assert later.run_requests[0].run_key != first.run_requests[0].run_key
    assert close(instance, stores).success
    other = key_of("binance_spot/ETHUSDT", TODAY)
    assert set(instance.get_materialized_partitions(dg.AssetKey(["candles_1m"]))) == {KEY, other}
    assert isinstance(tick(instance, stores, later.cursor), dg.SkipReason)


def test_a_run_that_failed_is_asked_for_again_but_not_at_once(
    feeder: Feeder, instance: dg.DagsterInstance, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_SPOT_REST_URL", "http://127.0.0.1:1")
    first = tick(instance, stores)
    assert not close(instance, stores).success
    soon = tick(instance, stores, first.cursor)
    assert "tried again later" in str(soon.skip_message)
    now = time.time() + closing.RETRY_SECONDS
    monkeypatch.setattr(closing.time, "time", lambda: now)
    again = tick(instance, stores, first.cursor)
    assert again.run_requests[0].run_key != first.run_requests[0].run_key


@pytest.mark.parametrize("status", ["STARTING", "STARTED", "CANCELING"])
def test_no_run_is_asked_for_while_one_is_on_its_way(
    feeder: Feeder, instance: dg.DagsterInstance, stores: Stores, status: str
) -> None:
    definitions = dg.Definitions.merge(ohlc.definitions(), dg.Definitions(resources={"stores": stores}))
    job = definitions.resolve_job_def("close_days")
    instance.create_run_for_job(job, status=dg.DagsterRunStatus(status))
    assert "on its way" in str(tick(instance, stores).skip_message)


def test_a_partition_that_is_known_is_not_added(
    feeder: Feeder, instance: dg.DagsterInstance, stores: Stores
) -> None:
    instance.add_dynamic_partitions(str(INSTRUMENTS.name), ["binance_spot/BTCUSDT"])
    assert tick(instance, stores).dynamic_partitions_requests == []


def test_a_run_that_finds_nothing_due_does_nothing(instance: dg.DagsterInstance, stores: Stores) -> None:
    assert close(instance, stores).success
