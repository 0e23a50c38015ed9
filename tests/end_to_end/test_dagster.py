"""Dagster beside the platform: it heals, it is killed in every place, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.end_to_end.conftest import Platform
from trade_platform.operations.up.dagster import CODE, DAEMON, WEB

pytestmark = pytest.mark.timeout(2400)
LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, mode: "default"}) {
    __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }
"""
SELECTOR = {
    "repositoryLocationName": "trade_platform",
    "repositoryName": "__repository__",
    "pipelineName": "upkeep",
}
SKIPPING = """
[[fault]]
fault = "skip"
exchange = "binance_spot"
symbol = "BTCUSDT"
at = 20
count = 20
"""


class Dagster:
    """What a test asks of it."""

    def __init__(self, platform: Platform, database_url: str) -> None:
        self.platform = platform
        self.database_url = database_url

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Of Dagster's own database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def until_rows(self, statement: str, *values: object, what: str) -> list[tuple[Any, ...]]:
        return self.platform.until(lambda: self.rows(statement, *values) or None, what, timeout=300)

    def page(self) -> str:
        run = self.platform.running(WEB)
        assert run is not None
        return run.urls["page"]["http"]

    def await_up(self, name: str, *, other_than: int = 0) -> int:
        """Its pid, once it runs; it gives way to all others, so that it may take its time."""

        def found() -> int | None:
            run = self.platform.running(name)
            return run.pid if run is not None and run.pid != other_than else None

        return self.platform.until(found, f"{name} is ready", timeout=300)

    def launch(self) -> str:
        """A run of the job ``upkeep``; its id."""
        body = json.dumps({"query": LAUNCH, "variables": {"selector": SELECTOR}}).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.page()}/graphql", data=body, headers=kind)
        with urllib.request.urlopen(request) as answer:
            said = json.load(answer)["data"]["launchRun"]
        return str(said["run"]["id"])

    def workers(self) -> list[int]:
        """Pids of the processes that do runs: a schedule may have begun another one."""
        code = self.platform.running(CODE)
        return [pid for pid in children_of(code.pid) if b"spawn_main" in command_of(pid)] if code else []


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def dagster(platform: Platform, empty_postgres_url: str) -> Dagster:
    platform.environment["DAGSTER_DATABASE_URL"] = empty_postgres_url
    platform.environment["WEB_PORT"] = "0"
    return Dagster(platform, empty_postgres_url)


def of_this(platform: Platform) -> list[str]:
    """Processes that still know the data folder of this platform."""
    mark = f"DATA_FOLDER={platform.folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.append(command_of(int(entry.name)).decode().replace("\0", " "))
        except OSError:
            continue
    return found


def test_an_open_gap_is_repaired_by_the_sensor_and_the_end_is_clean(dagster: Dagster, tmp_path: Path) -> None:
    platform = dagster.platform
    faults = tmp_path / "faults.toml"
    faults.write_text(SKIPPING)
    platform.start("--dagster", "--simulated", "--exchange", "binance_spot", "--faults", str(faults))
    for name in (CODE, DAEMON, WEB):
        dagster.await_up(name)
    assert platform.running("repair") is None
    with psycopg.connect(platform.database_url, autocommit=True) as connection:

        def repaired() -> bool:
            states = connection.execute("select state from gap where reason = 'sequence'").fetchall()
            return bool(states) and all(state == "repaired" for (state,) in states)

        platform.until(repaired, "the gap is repaired", timeout=300)
    status = platform.run("status", "--json")
    shown = {one["name"]: one for one in json.loads(status.stdout)["processes"]}
    assert shown[WEB]["detail"] == dagster.page()
    assert dagster.page() in platform.run("doctor", "--json").stdout
    code, said = platform.stop()
    assert code == 0, said
    assert re.search(r"the web page: http://127\.0\.0\.1:\d+", said), said
    assert of_this(platform) == []


WAITS = "select 1 from pg_locks where relation = 'backfill_tags'::regclass and not granted"
STATE = "select 1 from runs where run_id = %s and status = %s"
AGAIN = """
select runs.run_id from runs join run_tags using (run_id)
where key = 'dagster/parent_run_id' and value = %s and status = 'STARTED'
"""


def kill_in_mid_run(dagster: Dagster, victims: Callable[[], list[int]]) -> None:
    """A run stands in the middle of its work; whoever does it dies; the run is failed, repeated and done."""
    with psycopg.connect(dagster.database_url) as holder:
        holder.execute("lock table backfill_tags in access exclusive mode")
        run_id = dagster.launch()
        dagster.until_rows(WAITS, what="the run is held up")
        pids = victims()
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        dagster.until_rows(STATE, run_id, "FAILURE", what="the run is marked as failed")
        ((again,),) = dagster.until_rows(AGAIN, run_id, what="the run is repeated")
    dagster.until_rows(STATE, again, "SUCCESS", what="the repeated run is done")


def test_killed_in_every_place_it_comes_back_and_the_run_is_repeated(dagster: Dagster) -> None:
    """A run that is held up in the middle; its worker is killed, then the server, then the daemon."""
    platform = dagster.platform
    platform.start("--dagster", "--simulated", "--exchange", "binance_spot")
    code = dagster.await_up(CODE)
    daemon = dagster.await_up(DAEMON)
    dagster.await_up(WEB)
    dagster.until_rows("select 1 from job_ticks limit 1", what="sensors and schedules tick")
    kill_in_mid_run(dagster, dagster.workers)
    kill_in_mid_run(dagster, lambda: [code])
    dagster.await_up(CODE, other_than=code)
    os.kill(daemon, signal.SIGKILL)
    dagster.await_up(DAEMON, other_than=daemon)
    ((before,),) = dagster.rows("select max(id) from job_ticks")
    dagster.until_rows("select 1 from job_ticks where id > %s", before, what="ticks go on")
    exit_code, said = platform.stop()
    assert exit_code == 0, said
    for name in (CODE, DAEMON):
        assert f"{name} was killed by SIGKILL and was started again" in said
    assert of_this(platform) == []
