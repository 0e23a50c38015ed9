"""Runs are processes of the code server; this launcher tells the daemon when one died with its server.

Dagster's own launcher cannot be asked, so that a run whose server was killed would be "started" for ever.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, Self

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClassData, deserialize_value

ANSWER_SECONDS: Final = 5


class HealthCheckedRunLauncher(DefaultRunLauncher):
    """The default one, which can also be asked whether a run is still being worked on."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """As dagster.yaml names it; there is nothing to configure."""
        del config_value
        return cls(inst_data=inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """NOT_FOUND only where it is certain: the server is another one, or does not know the run.

        A server that does not answer is being started again; meanwhile nothing is known.
        """
        if _is_of_another_server(run.tags.get(GRPC_INFO_TAG)):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its code server is one of an earlier start")
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "it has ended, or is not with a server yet")
        request = CanCancelExecutionRequest(run_id=run.run_id)
        try:
            answer = client.can_cancel_execution(request, timeout=ANSWER_SECONDS)
        except DagsterUserCodeUnreachableError as error:
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"the code server does not answer: {error}")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code server was started again since")


def _is_of_another_server(info: str | None) -> bool:
    """The address that the run was sent to is not today's; runs end with their server, wherever it was."""
    port = os.environ.get("DAGSTER_CODE_PORT")
    return bool(info and port) and str(json.loads(info or "{}").get("port")) != port
