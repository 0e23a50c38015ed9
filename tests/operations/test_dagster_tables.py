"""Over a real instance: its own tables, its own events, and what it itself says of assets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from trade_platform.adapters.dagster_home import INSTANCE
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.dagster_storage import sqlalchemy_url
from trade_platform.operations.dagster_tables import Days, prune

DAYS = Days(events=7, runs=60, ticks=30)
NOW = datetime.now(UTC)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x", "y", "z"]))
def parted(context: dg.AssetExecutionContext) -> None:
    context.log.info("said")
    if context.partition_key == "z":
        raise RuntimeError("z is bad")


@dg.asset_check(asset=parted)
def judged() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def instance(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_bytes(INSTANCE.read_bytes())
    monkeypatch.setenv("DAGSTER_STORAGE_URL", sqlalchemy_url(empty_postgres_url))
    with dg.DagsterInstance.from_config(str(tmp_path)) as one:
        yield one


@pytest.fixture
def tables(empty_postgres_url: str) -> Iterator[Connection]:
    with connect(empty_postgres_url, name="test") as connection:
        yield connection


def make(instance: dg.DagsterInstance, partition: str, *, check: bool = True) -> None:
    assets = [parted, judged] if check else [parted]
    dg.materialize(assets, partition_key=partition, instance=instance, raise_on_error=False)


def grow_old(tables: Connection, days: int) -> None:
    """All that is there happened so long ago."""
    for table, column in (
        ("event_logs", "timestamp"),
        ("runs", "update_timestamp"),
        ("asset_check_executions", "create_timestamp"),
        ("job_ticks", "timestamp"),
        ("bulk_actions", "timestamp"),
    ):
        tables.execute(f"update {table} set {column} = {column} - make_interval(days => %s)", [days])


def said_of_assets(instance: dg.DagsterInstance) -> tuple[Any, ...]:
    """What the page shows: partitions that are made, those that failed, the last word of each check."""
    key, storage = parted.key, instance.event_log_storage
    check = dg.AssetCheckKey(key, "judged")
    failed = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
    history = storage.get_asset_check_execution_history(check, limit=50)
    evaluated = [one for one in history if one.status is AssetCheckExecutionRecordStatus.SUCCEEDED]
    last = history[:1] + evaluated[:1]
    latest = instance.get_latest_materialization_event(key)
    return (
        instance.get_materialized_partitions(key),
        failed,
        [(one.id, one.status, one.run_id) for one in last],
        latest.run_id if latest else None,
        [(run := instance.get_run_by_id(run_id)) and run.status for run_id, _ in failed.values()],
    )


def rows(tables: Connection, table: str) -> int:
    row = tables.execute(f"select count(*) from {table}").fetchone()
    return row[0] if row else 0


def test_what_the_page_shows_of_assets_is_the_same_and_the_rows_are_fewer(
    instance: dg.DagsterInstance, tables: Connection
) -> None:
    for partition in ("x", "x", "y", "z", "z"):
        make(instance, partition)
    grow_old(tables, 90)
    make(instance, "x", check=False)
    before, events, runs = said_of_assets(instance), rows(tables, "event_logs"), rows(tables, "runs")
    assert before[0] == {"x", "y"}
    assert len(before[2]) == 2, "one that is only planned, and the last evaluation"
    done = {one.what: one.count for one in prune(tables, DAYS, now=NOW, batch=3)}
    assert said_of_assets(instance) == before
    assert rows(tables, "event_logs") < events / 2
    assert rows(tables, "runs") < runs
    assert done["steps of runs"] > 0
    assert done["events of assets"] > 0
    assert done["evaluations of checks"] > 0
    assert done["runs"] == runs - rows(tables, "runs")
    assert not any(one.count for one in prune(tables, DAYS, now=NOW))


def test_what_is_young_stays(instance: dg.DagsterInstance, tables: Connection) -> None:
    make(instance, "x")
    make(instance, "x")
    grow_old(tables, 6)
    assert not any(one.count for one in prune(tables, DAYS, now=NOW))


def test_a_run_keeps_its_beginning_and_end_when_its_steps_go(
    instance: dg.DagsterInstance, tables: Connection
) -> None:
    make(instance, "x")
    grow_old(tables, 10)
    prune(tables, DAYS, now=NOW)
    kinds = {row[0] for row in tables.execute("select distinct dagster_event_type from event_logs")}
    assert {"PIPELINE_START", "PIPELINE_SUCCESS", "ASSET_MATERIALIZATION"} <= kinds
    assert not {"STEP_START", None} & kinds
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS


def test_ticks_and_backfills_go_when_they_are_over(instance: dg.DagsterInstance, tables: Connection) -> None:
    del instance
    for status in ("SKIPPED", "SUCCESS", "STARTED"):
        tables.execute(
            "insert into job_ticks (status, timestamp, tick_body) values (%s, now(), '')", [status]
        )
    for key, status in (("a", "COMPLETED_SUCCESS"), ("b", "REQUESTED")):
        tables.execute(
            "insert into bulk_actions (key, status, timestamp) values (%s, %s, now())", [key, status]
        )
        tables.execute("insert into backfill_tags (backfill_id, key, value) values (%s, 'k', 'v')", [key])
    grow_old(tables, 90)
    prune(tables, DAYS, now=NOW)
    assert [row[0] for row in tables.execute("select status from job_ticks")] == ["STARTED"]
    assert [row[0] for row in tables.execute("select key from bulk_actions")] == ["b"]
    assert [row[0] for row in tables.execute("select backfill_id from backfill_tags")] == ["b"]


def test_logs_go_with_their_run_and_nothing_else_does(
    instance: dg.DagsterInstance, tables: Connection, tmp_path: Path
) -> None:
    make(instance, "x")
    (run,) = instance.get_runs()
    gone = str(uuid4())
    for name in (run.run_id, gone, "schedules"):
        (tmp_path / "storage" / name / "compute_logs").mkdir(parents=True, exist_ok=True)
    prune(tables, DAYS, now=NOW, home=tmp_path)
    left = {path.name for path in (tmp_path / "storage").iterdir()}
    assert {run.run_id, "schedules"} <= left
    assert gone not in left


def test_where_dagster_never_ran_there_is_nothing_to_do(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        assert prune(connection, DAYS, now=NOW) == []
