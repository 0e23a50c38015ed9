"""Dagster's own tables, kept bounded: what nobody looks up any more goes, what the page shows stays.

Dagster itself forgets ticks only. Kept for ever: of each asset, partition and kind of event the last one, of
each check the last evaluation, and the runs that these belong to.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from trade_platform.adapters.database.connection import Connection

BATCH: Final = 5_000
"""Rows of one transaction: nobody who writes meanwhile waits for long."""

STEPS: Final = (
    "ENGINE_EVENT", "HANDLED_OUTPUT", "HOOK_COMPLETED", "HOOK_ERRORED", "HOOK_SKIPPED", "LOADED_INPUT",
    "LOGS_CAPTURED", "OBJECT_STORE_OPERATION", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS",
    "STEP_EXPECTATION_RESULT", "STEP_INPUT", "STEP_OUTPUT", "STEP_RESTARTED", "STEP_SKIPPED", "STEP_START",
    "STEP_SUCCESS", "STEP_UP_FOR_RETRY", "STEP_WORKER_STARTED", "STEP_WORKER_STARTING",
)  # fmt: skip
"""What happened inside a run, step by step. A run's beginning, end and failures are not among them."""

_STEP_EVENTS: Final = """
DELETE FROM event_logs WHERE id IN (
    SELECT id FROM event_logs
    WHERE timestamp < %(before)s AND asset_key IS NULL
      AND (dagster_event_type IS NULL OR dagster_event_type = ANY (%(steps)s))
    ORDER BY id LIMIT %(batch)s)
"""

_CHECKS: Final = """
DELETE FROM asset_check_executions WHERE id IN (
    SELECT old.id FROM asset_check_executions AS old
    WHERE old.create_timestamp < %(before)s AND EXISTS (
        SELECT FROM asset_check_executions AS new
        WHERE new.asset_key = old.asset_key AND new.check_name = old.check_name
          AND new.partition IS NOT DISTINCT FROM old.partition AND new.id > old.id
          AND new.execution_status IN ('SUCCEEDED', 'FAILED'))
    ORDER BY old.id LIMIT %(batch)s)
"""

_CHECK_EVENTS: Final = """
DELETE FROM event_logs WHERE id IN (
    SELECT old.id FROM event_logs AS old
    WHERE old.timestamp < %(before)s
      AND old.dagster_event_type IN ('ASSET_CHECK_EVALUATION', 'ASSET_CHECK_EVALUATION_PLANNED')
      AND NOT EXISTS (
        SELECT FROM asset_check_executions AS kept WHERE kept.evaluation_event_storage_id = old.id)
    ORDER BY old.id LIMIT %(batch)s)
"""

# A plan for many partitions at once names none of them: only once all is made does it say nothing any more.
_ASSET_EVENTS: Final = """
WITH gone AS (
    DELETE FROM event_logs WHERE id IN (
        SELECT old.id FROM event_logs AS old
        WHERE old.timestamp < %(before)s AND old.asset_key IS NOT NULL
          AND (old.dagster_event_type <> 'ASSET_MATERIALIZATION_PLANNED' OR old.partition IS NOT NULL
               OR EXISTS (SELECT FROM runs WHERE runs.run_id = old.run_id AND runs.status = 'SUCCESS'))
          AND EXISTS (
            SELECT FROM event_logs AS new
            WHERE new.asset_key = old.asset_key AND new.dagster_event_type = old.dagster_event_type
              AND new.partition IS NOT DISTINCT FROM old.partition AND new.id > old.id)
          AND NOT EXISTS (
            SELECT FROM asset_check_executions AS kept
            WHERE kept.materialization_event_storage_id = old.id)
        ORDER BY old.id LIMIT %(batch)s)
    RETURNING id),
tags AS (DELETE FROM asset_event_tags WHERE event_id IN (SELECT id FROM gone))
SELECT count(*) FROM gone
"""

_RUNS: Final = """
SELECT run_id FROM runs
WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND update_timestamp < %(before)s
  AND NOT EXISTS (
    SELECT FROM event_logs WHERE event_logs.run_id = runs.run_id AND event_logs.asset_key IS NOT NULL)
  AND NOT EXISTS (SELECT FROM asset_check_executions AS kept WHERE kept.run_id = runs.run_id)
ORDER BY id LIMIT %(batch)s
"""

_OF_RUNS: Final = (
    "DELETE FROM event_logs WHERE run_id = ANY (%(runs)s)",
    "DELETE FROM run_tags WHERE run_id = ANY (%(runs)s)",
    "DELETE FROM runs WHERE run_id = ANY (%(runs)s)",
)

_BACKFILLS: Final = """
WITH gone AS (
    DELETE FROM bulk_actions WHERE id IN (
        SELECT id FROM bulk_actions
        WHERE timestamp < %(before)s
          AND status IN ('COMPLETED', 'COMPLETED_SUCCESS', 'COMPLETED_FAILED', 'FAILED', 'CANCELED')
        ORDER BY id LIMIT %(batch)s)
    RETURNING key),
tags AS (DELETE FROM backfill_tags WHERE backfill_id IN (SELECT key FROM gone))
SELECT count(*) FROM gone
"""

_TICKS: Final = """
DELETE FROM job_ticks WHERE id IN (
    SELECT id FROM job_ticks WHERE timestamp < %(before)s AND status <> 'STARTED'
    ORDER BY id LIMIT %(batch)s)
"""

_EVALUATIONS: Final = """
DELETE FROM asset_daemon_asset_evaluations WHERE id IN (
    SELECT id FROM asset_daemon_asset_evaluations WHERE create_timestamp < %(before)s
    ORDER BY id LIMIT %(batch)s)
"""

_HAS_TABLES: Final = """
SELECT count(*) = 8 FROM pg_tables
WHERE schemaname = ANY (current_schemas(false)) AND tablename IN (
    'event_logs', 'asset_event_tags', 'asset_check_executions', 'runs', 'run_tags', 'bulk_actions',
    'job_ticks', 'asset_daemon_asset_evaluations')
"""


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """How many days something can be looked up."""

    events: int
    runs: int
    ticks: int


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What went, in rows; of logs, folders."""

    what: str
    count: int


def prune(
    connection: Connection, days: Days, *, now: datetime, home: Path | None = None, batch: int = BATCH
) -> list[Deleted]:
    """Delete what is older; nothing where Dagster has made no tables yet. ``home``: with the logs of runs.

    The connection is an autocommit one: each batch is a transaction. Raises psycopg.Error.
    """
    if connection.execute(_HAS_TABLES).fetchone() != (True,):
        return []
    events, runs, ticks = (_before(now, count) for count in (days.events, days.runs, days.ticks))
    work = (
        ("steps of runs", _STEP_EVENTS, events),
        ("evaluations of checks", _CHECKS, runs),
        ("events of checks", _CHECK_EVENTS, runs),
        ("events of assets", _ASSET_EVENTS, runs),
        ("backfills", _BACKFILLS, runs),
        ("ticks", _TICKS, ticks),
        ("evaluations of conditions", _EVALUATIONS, ticks),
    )
    done = [
        Deleted(what=what, count=_in_batches(connection, statement, before, batch))
        for what, statement, before in work
    ]
    done.append(Deleted(what="runs", count=_runs(connection, runs, batch)))
    if home is not None:
        done.append(Deleted(what="folders of logs", count=_logs(connection, home / "storage")))
    return done


def _before(now: datetime, days: int) -> datetime:
    """Dagster writes UTC without saying so."""
    return (now.astimezone(UTC) - timedelta(days=days)).replace(tzinfo=None)


def _in_batches(connection: Connection, statement: str, before: datetime, batch: int) -> int:
    count = 0
    values: Mapping[str, Any] = {"before": before, "batch": batch, "steps": list(STEPS)}
    while True:
        cursor = connection.execute(statement, values)
        row = cursor.fetchone() if cursor.description else None  # one that counts, or a plain DELETE
        last = int(row[0]) if row else cursor.rowcount
        count += last
        if last < batch:
            return count


def _runs(connection: Connection, before: datetime, batch: int) -> int:
    """Each with all that is left of it, in one transaction."""
    count = 0
    while found := [row[0] for row in connection.execute(_RUNS, {"before": before, "batch": batch})]:
        with connection.transaction():
            for statement in _OF_RUNS:
                connection.execute(statement, {"runs": found})
        count += len(found)
    return count


def _logs(connection: Connection, storage: Path) -> int:
    """What runs wrote that are no more; a run has its row before its folder."""
    folders = [path for path in storage.glob("*") if _is_run(path.name) and path.is_dir()]
    gone = set(_unknown(connection, [path.name for path in folders]))
    for path in folders:
        if path.name in gone:
            shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _unknown(connection: Connection, names: Sequence[str]) -> list[str]:
    statement = (
        "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT EXISTS (SELECT FROM runs WHERE run_id = name)"
    )
    return [row[0] for row in connection.execute(statement, [list(names)])]


def _is_run(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
