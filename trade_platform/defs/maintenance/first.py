"""What the clock alone asks for is asked for once as soon as there is something, so that no page is empty."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from trade_platform.defs.completeness.report import ASSET as REPORT
from trade_platform.defs.completeness.report import report_completeness
from trade_platform.defs.live.gaps import PRIORITY
from trade_platform.defs.maintenance.storage import dagster_storage, upkeep
from trade_platform.defs.partitions import INSTRUMENTS
from trade_platform.defs.runs import is_active

LOOK_SECONDS: Final = 60
LAST: Final = "-1"
"""After whatever else waits in the queue: a platform that begins has more to do."""
FIRST: Final = {report_completeness.name: REPORT, upkeep.name: dagster_storage.key}
"""Job → the asset that it makes."""


@dg.sensor(
    name="first_runs",
    jobs=[report_completeness, upkeep],
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="The report and the upkeep once, when something is recorded; later the clock asks for them.",
)
def first_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """The keys of the runs make it once for ever: one that fails is the clock's affair."""
    if not context.instance.get_dynamic_partitions(str(INSTRUMENTS.name)):
        return dg.SkipReason("Nothing is recorded yet.")
    requests = list(_requests(context.instance))
    if not requests:
        return dg.SkipReason("Each was made, or is being made.")
    return dg.SensorResult(run_requests=requests)


def _requests(instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    for job, asset in FIRST.items():
        if instance.get_latest_materialization_event(asset) is None and not is_active(instance, job):
            yield dg.RunRequest(run_key=f"first:{job}", job_name=job, tags={PRIORITY: LAST})
