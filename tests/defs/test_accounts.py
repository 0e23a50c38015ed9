"""Accounts as Dagster shows them, from real tables."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.adapters.database.booking import ACCOUNT, as_owner
from tests.adapters.database.test_reconciliations import raised, run
from tests.domain.account_week import START, week_of
from tests.operations.accounting import keep, opened
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import last_run, save_raised, save_run
from trade_platform.adapters.database.times import day_of
from trade_platform.defs.accounts import definitions
from trade_platform.defs.accounts.days import ACCOUNTS
from trade_platform.defs.accounts.due import account_standing, reconcile_due
from trade_platform.defs.accounts.ledger import account_ledger
from trade_platform.defs.accounts.reconciliation import account_reconciliation
from trade_platform.defs.accounts.statement import account_statement
from trade_platform.defs.stores import KEY, Stores
from trade_platform.domain.difference import Subject
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.reconciliation import State

DAY_OF_WEEK = START + 2 * DAY
NOW = START + 7 * DAY + MINUTE


@pytest.fixture
def stores(
    postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stores]:
    """The market's clock stands a minute after the week, and goes on."""
    clock = MarketClock(origin=NOW, anchor=time.monotonic())
    monkeypatch.setenv("MARKET_CLOCK", clock.to_text())
    return Stores(database_url=postgres_url, redis_url=redis_url, data_folder=str(tmp_path / "data"))


@pytest.fixture
def owner(connection: Connection) -> Owner:
    week = week_of("deribit", 1, orders=40)
    owner = opened(connection, week)
    keep(connection, owner, week.events)
    return owner


def materialised(
    instance: dg.DagsterInstance, stores: Stores, asset: dg.AssetsDefinition, account: str = ACCOUNT
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions(str(ACCOUNTS.name), [account])
    key = dg.MultiPartitionKey({"account": account, "day": day_of(DAY_OF_WEEK).isoformat()})
    return dg.materialize(
        [asset], resources={KEY: stores}, partition_key=key, instance=instance, raise_on_error=False
    )


def metadata_of(result: dg.ExecuteInProcessResult, name: str) -> dict[str, dg.MetadataValue]:
    (event,) = result.asset_materializations_for_node(name)
    return dict(event.metadata)


def test_a_day_s_ledger_comes_out(instance: dg.DagsterInstance, stores: Stores, owner: Owner) -> None:
    result = materialised(instance, stores, account_ledger)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("comes_out", True)
    metadata = metadata_of(result, "account_ledger")
    assert metadata["rows"].value
    assert {record.data["asset"] for record in metadata["by kind"].records} == {"BTC", "ETH"}  # type: ignore[attr-defined]


def test_a_row_that_is_missing_turns_the_ledger_s_check_red(
    connection: Connection, instance: dg.DagsterInstance, stores: Stores, owner: Owner
) -> None:
    connection.execute("DELETE FROM movement WHERE event_time >= '2026-09-23' AND event_time < '2026-09-24'")
    (check,) = materialised(instance, stores, account_ledger).get_asset_check_evaluations()
    assert not check.passed
    assert "BTC" in (check.description or "")


def test_a_day_s_statement_has_a_picture_and_tables(
    instance: dg.DagsterInstance, stores: Stores, owner: Owner
) -> None:
    result = materialised(instance, stores, account_statement)
    assert result.success
    metadata = metadata_of(result, "account_statement")
    assert "data:image/png;base64" in metadata["equity and profit"].value
    assert metadata["equity, USD"].value > 100_000
    assert metadata["by asset"].records  # type: ignore[attr-defined]
    assert metadata["by strategy"].records  # type: ignore[attr-defined]


def test_a_day_that_nobody_can_ask_about_is_unknown_and_not_equal(
    connection: Connection, instance: dg.DagsterInstance, stores: Stores, owner: Owner
) -> None:
    """There is no vault here that could sign the questions."""
    result = materialised(instance, stores, account_reconciliation)
    assert result.success
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not checks["everything_was_answered"].passed
    assert checks["agrees_with_the_exchange"].passed
    assert metadata_of(result, "account_reconciliation")["balances"].value == "unknown"


def test_an_account_that_is_gone_is_one_sentence(instance: dg.DagsterInstance, stores: Stores) -> None:
    result = materialised(instance, stores, account_ledger, "operator.gone")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None
    assert "There is no account operator.gone" in str(error.message)


def tick(instance: dg.DagsterInstance, stores: Stores) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(instance=instance, resources={KEY: stores}) as context:
        answer = account_standing(context)
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    return answer


def test_an_account_becomes_a_partition_and_is_compared_first_of_all(
    connection: Connection, instance: dg.DagsterInstance, stores: Stores, owner: Owner
) -> None:
    answer = tick(instance, stores)
    assert isinstance(answer, dg.SensorResult)
    (request,) = answer.dynamic_partitions_requests or []
    assert list(request.partition_keys) == [ACCOUNT]
    assert len(answer.run_requests or []) == 1
    done = reconcile_due.execute_in_process(resources={KEY: stores}, instance=instance)
    assert done.success
    with as_owner(connection, owner):
        stored = last_run(connection, owner)
    assert stored is not None
    assert stored.occasion == "first"
    events = instance.fetch_materializations(dg.AssetKey("account_reconciliation"), limit=5).records
    assert [event.partition_key for event in events] == [f"{ACCOUNT}|2026-09-28"]


def test_an_account_that_agreed_lately_is_not_due(
    connection: Connection, instance: dg.DagsterInstance, stores: Stores, owner: Owner
) -> None:
    instance.add_dynamic_partitions(str(ACCOUNTS.name), [ACCOUNT])
    with as_owner(connection, owner):
        save_run(connection, owner, run(NOW - MINUTE))
    assert isinstance(tick(instance, stores), dg.SkipReason)


def test_a_discrepancy_and_a_long_silence_ask_for_a_run(
    connection: Connection, instance: dg.DagsterInstance, stores: Stores, owner: Owner
) -> None:
    instance.add_dynamic_partitions(str(ACCOUNTS.name), [ACCOUNT])
    with as_owner(connection, owner):
        save_run(connection, owner, run(NOW - 2 * MINUTE))
        save_raised(connection, owner, [raised()], NOW - 2 * MINUTE)
    differs = tick(instance, stores)
    assert isinstance(differs, dg.SensorResult)
    assert len(differs.run_requests or []) == 1
    with as_owner(connection, owner):
        save_raised(connection, owner, [raised(state="healed")], NOW)
        save_run(connection, owner, run(NOW - MINUTE, states=dict.fromkeys(Subject, State.OK)))
    connection.execute("UPDATE reconciliation SET at = at - interval '1 hour'")
    assert isinstance(tick(instance, stores), dg.SensorResult)


def test_without_a_platform_the_sensor_says_what_to_start(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    answer = tick(instance, Stores(data_folder=str(tmp_path)))
    assert isinstance(answer, dg.SkipReason)
    assert "trade-platform up" in str(answer.skip_message)


def test_the_area_is_partitioned_by_account_and_day() -> None:
    defs = dg.Definitions.merge(definitions(), dg.Definitions(resources={KEY: Stores()}))
    graph = defs.resolve_asset_graph()
    for name in ("account_reconciliation", "account_ledger", "account_statement"):
        partitions = graph.get(dg.AssetKey(name)).partitions_def
        assert isinstance(partitions, dg.MultiPartitionsDefinition)
        assert {one.name for one in partitions.partitions_defs} == {"account", "day"}
