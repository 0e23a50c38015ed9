"""Whether a run is on its way, of a real instance."""

import dagster as dg

from trade_platform.defs.runs import is_active


@dg.job
def counted() -> None:
    """Nothing to do."""


def test_a_run_is_on_its_way_until_it_has_ended(instance: dg.DagsterInstance) -> None:
    assert not is_active(instance, "counted")
    run = instance.create_run_for_job(counted, status=dg.DagsterRunStatus.STARTED)
    assert is_active(instance, "counted")
    assert not is_active(instance, "another")
    instance.report_run_canceled(run)
    assert not is_active(instance, "counted")
