"""What turns an asset red by age: Dagster's own judgement of what the sensor tells."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from tests.defs.live.graph import graph_of_live
from trade_platform.defs.live.assets import connection_key

KEY = connection_key("deribit")


def state(instance: dg.DagsterInstance, minutes: float) -> FreshnessState:
    """As the daemon sees it so much later."""
    node = graph_of_live().get(KEY)
    evaluation = TimeWindowFreshnessPolicyEvaluator().evaluate_freshness
    with freeze_time(datetime.now(UTC) + timedelta(minutes=minutes)):
        return asyncio.run(evaluation(LoadingContextForTest(instance), node))


def test_an_observation_is_no_sign_of_life(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetObservation(KEY))
    assert state(instance, 0) is FreshnessState.UNKNOWN


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0, FreshnessState.PASS),
        (11, FreshnessState.PASS),
        (16, FreshnessState.WARN),
        (26, FreshnessState.FAIL),
    ],
)
def test_a_heartbeat_holds_until_the_next_is_overdue(
    instance: dg.DagsterInstance, minutes: float, expected: str
) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
    assert state(instance, minutes) is FreshnessState[expected]
