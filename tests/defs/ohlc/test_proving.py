"""Every hour everything is asked, and what is new is said; every sixth all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from tests.defs.ohlc.test_candles import KEY, WIDE, feeder, known, verdicts
from tests.operations.test_control import minute
from tests.processors.feeding import Feeder
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.defs.ohlc.checks import CHECKS
from trade_platform.defs.ohlc.proving import hourly, prove_candles
from trade_platform.defs.stores import Stores

__all__ = ["feeder", "known"]


def prove(instance: dg.DagsterInstance, stores: Stores, **config: Any) -> dg.ExecuteInProcessResult:
    return prove_candles.execute_in_process(
        instance=instance,
        resources={"stores": stores},
        run_config={"ops": {"prove_the_days": {"config": config}}},
    )


def test_what_was_green_and_is_green_is_not_said_again(
    feeder: Feeder, connection: Connection, known: dg.DagsterInstance, stores: Stores
) -> None:
    feeder.close_all()
    assert len(verdicts(prove(known, stores))) == len(CHECKS)
    assert verdicts(prove(known, stores)) == {}
    connection.execute("UPDATE candle SET close = close + 1 WHERE open_time = %s", (moment(minute(1)),))
    altered = prove(known, stores)
    assert altered.success
    assert verdicts(altered)["candles_1m made_of_their_trades", KEY] is False
    assert not any(verdicts(altered).values())
    (said, *_) = [
        one for one in altered.get_asset_check_evaluations() if one.check_name == "made_of_their_trades"
    ]
    assert str(said.description).startswith("14:14 close "), said.description


def test_every_sixth_hour_all_is_said(feeder: Feeder, known: dg.DagsterInstance, stores: Stores) -> None:
    feeder.close_all()
    prove(known, stores)
    result = prove(known, stores, tell_all=True)
    assert len(verdicts(result)) == len(CHECKS)
    made = {
        event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key
    }
    assert made == {"candles_1m", *WIDE, "control_totals"}


@pytest.mark.parametrize(("hour", "everything"), [(6, True), (7, False)])
def test_the_schedule_says_all_every_sixth_hour(hour: int, everything: bool) -> None:
    at = datetime(2026, 11, 22, hour, 7, tzinfo=UTC)
    data = hourly.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at))
    (request,) = data.run_requests or ()
    assert request.run_config["ops"]["prove_the_days"]["config"]["tell_all"] is everything
