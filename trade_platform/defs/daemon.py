"""``python -m trade_platform.defs.daemon``: schedules, sensors, the queue of runs, and what watches them."""

from __future__ import annotations

from trade_platform.adapters.dagster_home import WORKSPACE
from trade_platform.defs.hosting import STOP_SECONDS, announced, leave_in, run
from trade_platform.settings import Settings


def main() -> int:
    """Run Dagster's daemons until SIGTERM."""
    return run(_watch)


def _watch(settings: Settings) -> None:
    from dagster import DagsterInstance  # noqa: PLC0415 - one second and 60 MB, for this process alone
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: PLC0415
    from dagster._daemon.controller import daemon_controller_from_instance  # noqa: PLC0415
    from dagster._utils.interrupts import capture_interrupts  # noqa: PLC0415

    with (
        capture_interrupts(),
        DagsterInstance.get() as instance,
        daemon_controller_from_instance(
            instance, WorkspaceFileTarget([str(WORKSPACE)]), log_format="json"
        ) as controller,
        announced(settings, "dagster-daemon"),
    ):
        try:
            controller.check_daemon_loop()
        finally:
            leave_in(STOP_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
