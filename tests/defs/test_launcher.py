"""Whether a run is still worked on, asked of a real code server."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from tests.defs import trio
from trade_platform.adapters.dagster_home import LOOPBACK
from trade_platform.defs.launcher import HealthCheckedRunLauncher


def test_a_run_is_lost_only_where_that_is_certain(
    tmp_path: Path, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = trio.environment(tmp_path, empty_postgres_url)
    for name in ("DAGSTER_STORAGE_URL", "DAGSTER_CODE_PORT"):
        monkeypatch.setenv(name, told[name])
    port = int(told["DAGSTER_CODE_PORT"])

    def health(at: int) -> WorkerStatus:
        address = json.dumps({"host": LOOPBACK, "port": at})
        run = create_run_for_test(instance, tags={GRPC_INFO_TAG: address}, status=dg.DagsterRunStatus.STARTED)
        return instance.run_launcher.check_run_worker_health(run).status

    with dg.DagsterInstance.from_config(told["DAGSTER_HOME"]) as instance:
        assert isinstance(instance.run_launcher, HealthCheckedRunLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        assert health(port) is WorkerStatus.RUNNING, "no answer: the server is being started again"
        assert health(port + 1) is WorkerStatus.NOT_FOUND, "it was sent to a server of an earlier start"
        code = trio.start("code", told, tmp_path)
        assert health(port) is WorkerStatus.NOT_FOUND, "a server that answers does not know it"
        code.terminate()
        assert code.wait(30) == 0, code.last_words()
