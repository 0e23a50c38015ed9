"""Partitions materialised against real stores, with the checks that prove them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from tests.defs.live.test_gaps import serving
from tests.operations.spot import processing
from tests.operations.test_control import Klines, minute, print_at
from tests.processors.feeding import NOON, Feeder, entry, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of, moment
from trade_platform.defs import ohlc
from trade_platform.defs.ohlc.days import key_of
from trade_platform.defs.ohlc.proving import prove_candles
from trade_platform.defs.partitions import INSTRUMENTS
from trade_platform.defs.stores import Stores
from trade_platform.domain.model import DAY, MINUTE, Instrument, InstrumentKind
from trade_platform.operations.candles import ROLLED

DUPLICATE = """
INSERT INTO trade SELECT instrument_id, event_time + interval '1 ms', sequence, price, quantity, side,
       first_id, last_id, flags, trade_id, mark_price, index_price, iv, receive_time
FROM trade WHERE sequence = 50
"""
GAP = """
INSERT INTO gap (exchange, symbol, channel, reason, since, until)
SELECT 'binance_spot', 'BTCUSDT', 'trade', 'sequence', m, m FROM (SELECT %s::timestamptz AS m) x
"""
TODAY = day_of(NOON)
KEY = key_of("binance_spot/BTCUSDT", TODAY)
WIDE = [f"candles_{interval}" for interval in ROLLED]


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    """Five minutes of one instrument, and the beginning of its next day."""
    feeder = Feeder(connection)
    feeder.apply(entry([print_at(n) for n in range(301)]))
    return feeder


@pytest.fixture
def known(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    instance.add_dynamic_partitions(str(INSTRUMENTS.name), ["binance_spot/BTCUSDT", "binance_spot/ETHUSDT"])
    return instance


def run(
    instance: dg.DagsterInstance,
    stores: Stores,
    *selected: str,
    key: str = KEY,
    checks: bool = True,
    **options: Any,
) -> dg.ExecuteInProcessResult:
    """Of these assets, in one run."""
    definitions = ohlc.definitions()
    chosen = dg.AssetSelection.assets(*([name] for name in selected))
    job = dg.define_asset_job("some", chosen if checks else chosen.without_checks())
    found = dg.Definitions.merge(
        definitions, dg.Definitions(jobs=[job], resources={"stores": stores}, executor=dg.in_process_executor)
    )
    return found.resolve_job_def("some").execute_in_process(
        instance=instance, partition_key=None if options.get("tags") else key, raise_on_error=False, **options
    )


def verdicts(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], bool]:
    return {
        (f"{one.asset_key.path[-1]} {one.check_name}", one.partition): one.passed
        for one in result.get_asset_check_evaluations()
    }


def materialised(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey([asset])))


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(asset if asset not in WIDE else "roll_ups")
    return {name: value.value for name, value in event.metadata.items()}


def test_a_day_becomes_candles_and_every_check_is_green(
    feeder: Feeder, known: dg.DagsterInstance, stores: Stores
) -> None:
    result = run(known, stores, "candles_1m", *WIDE)
    assert result.success
    assert materialised(known, "candles_1m") == {KEY}
    assert all(materialised(known, name) == {KEY} for name in WIDE)
    found = verdicts(result)
    assert len(found) == 10
    assert {key for _, key in found} == {KEY}
    assert all(found.values()), found
    said = metadata(result, "candles_1m")
    assert (said["minutes"], said["trades"]) == (6, 301)
    assert said["chart"].startswith("![")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE candle SET high = 999 WHERE interval = '1m' AND open_time = %s", "made_of_their_trades"),
        ("UPDATE candle SET low = 999 WHERE interval = '1m' AND open_time = %s", "possible_candles"),
        ("DELETE FROM trade WHERE sequence = 90 AND event_time > %s", "sequence_contiguous"),
        (GAP, "no_open_gaps"),
    ],
)
def test_what_is_wrong_is_red_where_it_is_asked_again(
    feeder: Feeder,
    connection: Connection,
    known: dg.DagsterInstance,
    stores: Stores,
    statement: str,
    broken: str,
) -> None:
    run(known, stores, "candles_1m", checks=False)
    connection.execute(statement, (moment(minute(1)),))
    result = prove_candles.execute_in_process(instance=known, resources={"stores": stores})
    assert result.success, "what is wrong is red in the graph, and no failure of the one who asks"
    found = verdicts(result)
    assert {key for _, key in found} == {KEY}
    assert not found[f"candles_1m {broken}", KEY]


def test_a_duplicate_stops_the_roll_ups_of_the_same_run(
    feeder: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    connection.execute(DUPLICATE)
    result = run(known, stores, "candles_1m", *WIDE)
    assert not result.success
    assert not verdicts(result)["candles_1m no_duplicate_trades", KEY]
    assert materialised(known, "candles_1m") == {KEY}
    assert materialised(known, "candles_1d") == set()


def test_one_wrong_partition_keeps_the_others_of_its_run_from_nothing(
    feeder: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    feeder.apply(entry([trade(n, NOON + n * MINUTE, symbol="ETHUSDT") for n in range(5)], 2))
    connection.execute(DUPLICATE)
    other = key_of("binance_spot/ETHUSDT", TODAY)
    tags = {"dagster/asset_partition_range_start": KEY, "dagster/asset_partition_range_end": other}
    result = run(known, stores, "candles_1m", *WIDE, tags=tags)
    assert not result.success
    assert f"The minutes of {KEY} are wrong" in str(result.failure_data_for_node("roll_ups"))
    assert not verdicts(result)["candles_1m no_duplicate_trades", KEY]
    assert materialised(known, "candles_1m") == {KEY, other}
    assert all(materialised(known, name) == {other} for name in WIDE)


def test_a_run_of_many_partitions_says_of_each_what_it_made_and_what_it_is(
    feeder: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    other = [print_at(n) for n in range(301)]
    feeder.apply(entry([trade(n, NOON + n * MINUTE, symbol="ETHUSDT") for n in range(5)], 2))
    feeder.apply(entry([trade(301, other[-1].event_time + DAY), trade(5, NOON + DAY, symbol="ETHUSDT")], 3))
    tomorrow = day_of(NOON + DAY)
    tags = {
        "dagster/asset_partition_range_start": KEY,
        "dagster/asset_partition_range_end": key_of("binance_spot/ETHUSDT", tomorrow),
    }
    connection.execute("DELETE FROM trade WHERE sequence = 90")
    result = run(known, stores, "candles_1m", *WIDE, tags=tags)
    keys = {
        key_of(f"binance_spot/{symbol}", day)
        for symbol in ("BTCUSDT", "ETHUSDT")
        for day in (TODAY, tomorrow)
    }
    assert materialised(known, "candles_1m") == materialised(known, "candles_1d") == keys
    found = verdicts(result)
    assert len(found) == 40
    assert {key for key, good in found.items() if not good} == {("candles_1m sequence_contiguous", KEY)}
    made = {
        event.partition: event.metadata["trades"].value
        for event in result.asset_materializations_for_node("candles_1m")
    }
    assert made == {
        KEY: 300,
        key_of("binance_spot/BTCUSDT", tomorrow): 1,
        key_of("binance_spot/ETHUSDT", TODAY): 5,
        key_of("binance_spot/ETHUSDT", tomorrow): 1,
    }


@pytest.fixture
def market(postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Klines]:
    """The exchange's REST side, and a processor that stores what it tells."""
    market = Klines()
    market.trades["BTCUSDT"] = list(range(301))
    market.minutes["BTCUSDT"] = [minute(n) for n in range(6)]
    with processing(postgres_url, redis_url), serving(market) as url:
        monkeypatch.setenv("BINANCE_SPOT_REST_URL", url)
        yield market


def test_control_totals_fetch_compare_and_are_green(
    feeder: Feeder, market: Klines, known: dg.DagsterInstance, stores: Stores
) -> None:
    run(known, stores, "candles_1m", checks=False)
    result = run(known, stores, "control_totals")
    assert result.success
    said = metadata(result, "control_totals")
    assert (said["read"], said["compared"], said["equal"], said["open"]) == (6, 5, 5, 0)
    assert verdicts(result) == {("control_totals agrees_with_the_exchange", KEY): True}


def test_a_candle_that_was_altered_is_red_against_the_exchange(
    feeder: Feeder, market: Klines, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    connection.execute("UPDATE candle SET close = 103.7 WHERE open_time = %s", (moment(minute(2)),))
    result = run(known, stores, "control_totals")
    assert verdicts(result) == {("control_totals agrees_with_the_exchange", KEY): False}
    (evaluation,) = result.get_asset_check_evaluations()
    assert "close: ours 103.7, theirs" in str(evaluation.metadata["examples"].value)


def test_an_exchange_that_is_away_fails_the_run_with_its_sentence(
    feeder: Feeder, known: dg.DagsterInstance, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_SPOT_REST_URL", "http://127.0.0.1:1")
    result = run(known, stores, "control_totals")
    assert not result.success
    assert materialised(known, "control_totals") == set()
    (failure,) = (result.get_failed_step_keys(),)
    assert "control_totals" in failure


def test_a_database_that_is_away_fails_the_run_with_one_sentence(known: dg.DagsterInstance) -> None:
    result = run(known, Stores(database_url="postgresql://127.0.0.1:9/none"), "candles_1m")
    told = result.failure_data_for_node("candles_1m")
    assert told is not None
    assert told.user_failure_data is not None
    assert "127.0.0.1" in (told.user_failure_data.description or "")


def test_a_family_is_one_partition_of_those_that_have_something_of_the_day(
    connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    names = ("BTC-27NOV26-90000-C", "BTC-27NOV26-95000-C", "BTC-28AUG26-90000-C")
    feeder = Feeder(connection, "market:deribit")
    options = [Instrument(symbol=name, kind=InstrumentKind.OPTION, base="BTC") for name in names]
    feeder.apply(entry(options, exchange="deribit"))
    for n, (name, when) in enumerate(zip(names, (NOON, NOON, NOON - 30 * DAY), strict=True), 2):
        feeder.apply(entry([trade(i, when + i * MINUTE, symbol=name) for i in (1, 2)], n, exchange="deribit"))
    known.add_dynamic_partitions(str(INSTRUMENTS.name), ["deribit/BTC-options"])
    result = run(known, stores, "candles_1m", key=key_of("deribit/BTC-options", TODAY))
    assert result.success
    assert metadata(result, "candles_1m") == {"minutes": 4, "complete": 0, "changed": 2, "trades": 4}
    held = {one.check_name: one.metadata for one in result.get_asset_check_evaluations()}
    assert held["sequence_contiguous"]["held"].value == 4
