"""The running day is told by itself, and what was red turns green by itself, whoever made it red."""

from __future__ import annotations

from typing import Any

import dagster as dg
import msgspec
import pytest

from tests.defs.ohlc.test_candles import DUPLICATE, KEY, WIDE, feeder, known, run, verdicts
from tests.operations.test_control import minute
from tests.processors.feeding import NOON, Feeder, entry, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.defs.ohlc import watching
from trade_platform.defs.ohlc.checks import CHECKS
from trade_platform.defs.ohlc.proving import prove_candles
from trade_platform.defs.ohlc.standing import Standing, standings
from trade_platform.defs.ohlc.watching import Cursor, candle_checks
from trade_platform.defs.stores import Stores
from trade_platform.domain.model import DAY

__all__ = ["feeder", "known"]

GAP = """
INSERT INTO gap (exchange, symbol, channel, reason, since, until)
SELECT 'binance_spot', 'BTCUSDT', 'trade', 'sequence', m, m FROM (SELECT %s::timestamptz AS m) x
"""
MENDED = "UPDATE gap SET state = 'repaired', closed_at = now()"
OPEN_GAPS = ("candles_1m no_open_gaps", KEY)


@pytest.fixture
def day(feeder: Feeder) -> Feeder:
    """Its minutes are closed, as a processor closes them."""
    feeder.close_all()
    return feeder


def tick(instance: dg.DagsterInstance, stores: Stores, cursor: str | None = None) -> Any:
    return candle_checks(dg.build_sensor_context(instance=instance, cursor=cursor), stores=stores)


def said(instance: dg.DagsterInstance, stores: Stores, found: Any) -> dict[tuple[str, str | None], bool]:
    """What the run says that the sensor asks for."""
    (request,) = found.run_requests
    result = prove_candles.execute_in_process(
        instance=instance, resources={"stores": stores}, run_config=request.run_config
    )
    assert result.success
    return verdicts(result)


def nothing(found: Any) -> str:
    assert found.run_requests == []
    return str(found.skip_reason.skip_message)


def test_the_running_day_is_told_with_all_its_checks_and_once(
    day: Feeder, known: dg.DagsterInstance, stores: Stores
) -> None:
    answers = said(known, stores, tick(known, stores))
    assert len(answers) == len(CHECKS)
    assert all(answers.values()), answers
    assert set(standings(known, [KEY]).values()) == {Standing.GREEN}
    for name in ("candles_1m", *WIDE, "control_totals"):
        assert set(known.get_materialized_partitions(dg.AssetKey([name]))) == {KEY}
    told = known.get_latest_materialization_event(dg.AssetKey(["candles_1m"]))
    assert told is not None
    assert told.asset_materialization is not None
    counts = {name: one.value for name, one in told.asset_materialization.metadata.items()}
    assert (counts["minutes"], counts["trades"]) == (6, 301)
    assert nothing(tick(known, stores)) == "0 checks are red, and nothing is new."


def test_a_day_without_a_minute_is_not_told_yet(
    connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    Feeder(connection).apply(entry([trade(1, minute(119.9))]))
    nothing(tick(known, stores))


def test_what_dagster_knows_no_partition_of_waits(
    day: Feeder, instance: dg.DagsterInstance, stores: Stores
) -> None:
    nothing(tick(instance, stores))


def test_what_was_red_is_green_once_its_cause_is_mended(
    day: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    """A partition is made by hand while a gap is open; seconds later the gap is closed."""
    connection.execute(GAP, (moment(minute(1)),))
    assert run(known, stores, "candles_1m").success
    first = said(known, stores, tick(known, stores))
    assert first[OPEN_GAPS] is False
    assert nothing(tick(known, stores)) == "1 checks are red, and nothing is new."
    connection.execute(MENDED)
    assert said(known, stores, tick(known, stores)) == {OPEN_GAPS: True}, "the cursor may be lost"
    nothing(tick(known, stores))


def test_what_is_red_in_vain_is_left_alone_for_a_while_and_what_is_new_is_not(
    day: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    connection.execute(GAP, (moment(minute(1)),))
    said(known, stores, tick(known, stores))
    cursor = msgspec.json.decode(tick(known, stores).cursor, type=Cursor)
    assert cursor.again > 0
    connection.execute(MENDED)
    later = msgspec.json.encode(Cursor(again=cursor.again + 1e6)).decode()
    nothing(tick(known, stores, later))
    run(known, stores, "candles_1m", checks=False)
    assert said(known, stores, tick(known, stores, later))[OPEN_GAPS], "it was made again since"


def test_a_run_that_ended_before_it_asked_leaves_no_question_open(
    day: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    connection.execute(DUPLICATE)
    assert not run(known, stores, "candles_1m", *WIDE).success
    assert Standing.OUTDATED in standings(known, [KEY]).values()
    assert not said(known, stores, tick(known, stores))["candles_1m no_duplicate_trades", KEY]
    assert not {Standing.OUTDATED, Standing.NEVER} & set(standings(known, [KEY]).values())


def test_the_same_is_not_asked_for_again_at_once_where_its_run_failed(
    day: Feeder, known: dg.DagsterInstance, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tick(known, stores)
    assert len(first.run_requests) == 1
    assert "a run has just asked" in nothing(tick(known, stores, first.cursor))
    now = watching.time.time() + watching.RETRY_SECONDS
    monkeypatch.setattr(watching.time, "time", lambda: now)
    again = tick(known, stores, first.cursor)
    assert again.run_requests[0].run_key != first.run_requests[0].run_key


@pytest.mark.parametrize("status", ["STARTING", "STARTED"])
def test_nothing_is_asked_for_while_a_run_is_on_its_way(
    day: Feeder, known: dg.DagsterInstance, stores: Stores, status: str
) -> None:
    known.create_run_for_job(prove_candles, status=dg.DagsterRunStatus(status))
    assert "on its way" in str(tick(known, stores).skip_message)


def test_where_there_is_no_time_the_next_look_asks(
    day: Feeder,
    connection: Connection,
    known: dg.DagsterInstance,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed_other(day)
    known.add_dynamic_partitions("instrument", ["binance_spot/ETHUSDT"])
    connection.execute(GAP, (moment(minute(1)),))
    connection.execute(GAP.replace("BTC", "ETH"), (moment(minute(1)),))
    said(known, stores, tick(known, stores))
    connection.execute(MENDED)
    monkeypatch.setattr(watching, "TICK_SECONDS", -1.0)
    nothing(tick(known, stores))
    monkeypatch.setattr(watching, "TICK_SECONDS", 10.0)
    assert len(said(known, stores, tick(known, stores))) == 2


def feed_other(feeder: Feeder) -> None:
    feeder.apply(entry([trade(n, NOON + n * 1_000_000, symbol="ETHUSDT") for n in range(1, 200)], 2))
    feeder.close_all()


def test_the_day_before_is_looked_at_where_it_is_red(
    day: Feeder,
    connection: Connection,
    known: dg.DagsterInstance,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection.execute(GAP, (moment(minute(1)),))
    said(known, stores, tick(known, stores))
    now = stores.clock().market() + DAY
    monkeypatch.setattr(Stores, "clock", lambda _: Tomorrow(now))
    nothing(tick(known, stores))
    connection.execute(MENDED)
    assert said(known, stores, tick(known, stores)) == {OPEN_GAPS: True}


class Tomorrow:
    """The market's clock, a day later."""

    def __init__(self, now: int) -> None:
        self._now = now

    def market(self) -> int:
        return self._now


def test_a_database_that_is_away_is_a_reason(instance: dg.DagsterInstance) -> None:
    found = tick(instance, Stores(database_url="postgresql://127.0.0.1:1/none"))
    assert isinstance(found, dg.SkipReason)
