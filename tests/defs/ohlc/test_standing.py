"""How a check stands: by its last answer, unless its partition was made again, or a run is about to ask."""

from __future__ import annotations

from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import DagsterEvent

from tests.defs.ohlc.test_candles import KEY
from tests.defs.ohlc.test_ohlc import whole
from trade_platform.defs.ohlc.checks import CHECKS
from trade_platform.defs.ohlc.standing import Standing, standings, unmade
from trade_platform.defs.partitions import INSTRUMENT_DAYS

CANDLES = dg.AssetKey(["candles_1m"])
CHECK = next(one for one in CHECKS if one.name == "no_open_gaps")
OTHER = KEY.replace("BTC", "ETH")


def answer(instance: dg.DagsterInstance, *, passed: bool, partition: str = KEY) -> None:
    """Of a run: Dagster takes one answer without a run of each partition, and refuses the next."""
    said = dg.AssetCheckEvaluation(
        asset_key=CANDLES, check_name=CHECK.name, passed=passed, partition=partition
    )
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION.value
    instance.report_dagster_event(DagsterEvent(kind, "prove_candles", event_specific_data=said), f"{uuid4()}")


def make(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(CANDLES, partition=KEY))


def plan(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    """A run that is to ask, as Dagster notes it when the run is made."""
    run = instance.create_run_for_job(whole().resolve_job_def("close_days"), status=status)
    planned = AssetCheckEvaluationPlanned(
        asset_key=CANDLES,
        check_name=CHECK.name,
        partitions_subset=INSTRUMENT_DAYS.subset_with_partition_keys([KEY]),
    )
    event = DagsterEvent(
        dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value, run.job_name, event_specific_data=planned
    )
    instance.report_dagster_event(event, run.run_id)


def standing(instance: dg.DagsterInstance, partition: str = KEY) -> Standing:
    return standings(instance, [KEY, OTHER])[CHECK, partition]


def test_the_last_answer_counts_partition_by_partition(instance: dg.DagsterInstance) -> None:
    assert set(standings(instance, [KEY]).values()) == {Standing.NEVER}
    assert len(standings(instance, [KEY])) == len(CHECKS)
    answer(instance, passed=False)
    assert (standing(instance), standing(instance, OTHER)) == (Standing.RED, Standing.NEVER)
    answer(instance, passed=True)
    answer(instance, passed=False, partition=OTHER)
    assert (standing(instance), standing(instance, OTHER)) == (Standing.GREEN, Standing.RED)


def test_what_was_made_again_since_is_outdated(instance: dg.DagsterInstance) -> None:
    assert unmade(instance, [KEY]) == {KEY}
    make(instance)
    assert unmade(instance, [KEY]) == set()
    answer(instance, passed=True)
    assert standing(instance) is Standing.GREEN
    make(instance)
    assert standing(instance) is Standing.OUTDATED


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (dg.DagsterRunStatus.STARTING, Standing.BUSY),
        (dg.DagsterRunStatus.STARTED, Standing.BUSY),
        (dg.DagsterRunStatus.FAILURE, Standing.OUTDATED),
        (dg.DagsterRunStatus.CANCELED, Standing.OUTDATED),
    ],
)
def test_a_run_that_is_to_ask_is_waited_for_while_it_lives(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, expected: Standing
) -> None:
    answer(instance, passed=False)
    plan(instance, status)
    assert standing(instance) is expected
