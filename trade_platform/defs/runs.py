"""What the instance knows of runs."""

from typing import Final

import dagster as dg

ENDED: Final = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
ACTIVE: Final = [status for status in dg.DagsterRunStatus if status not in ENDED]


def is_active(instance: dg.DagsterInstance, job: str) -> bool:
    """A run of the job has not ended."""
    runs = instance.get_run_ids(filters=dg.RunsFilter(job_name=job, statuses=ACTIVE), limit=1)
    return bool(runs)
