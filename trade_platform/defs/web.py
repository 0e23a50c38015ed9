"""``python -m trade_platform.defs.web``: Dagster's web page on loopback, behind the guard."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Final

from trade_platform.adapters.dagster_home import LOOPBACK, WORKSPACE
from trade_platform.defs.guard import Guard, allowed_hosts
from trade_platform.defs.hosting import announced, end_by_signal, run
from trade_platform.settings import Settings

STATEMENT_MILLISECONDS: Final = 15_000
POOL_SECONDS: Final = 3_600
POOL_CONNECTIONS: Final = 10
"""That one storage may open beyond its first; the role's limit is another."""
GRACE_SECONDS: Final = 2


def main() -> int:
    """Serve the page until SIGTERM."""
    return run(_serve)


def _serve(settings: Settings) -> None:
    end_by_signal()
    import uvicorn  # noqa: PLC0415 - all of this is for this process alone
    from dagster import DagsterInstance  # noqa: PLC0415
    from dagster._core.workspace.context import WorkspaceProcessContext  # noqa: PLC0415
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: PLC0415
    from dagster_webserver.app import create_app_from_workspace_process_context  # noqa: PLC0415
    from dagster_webserver.version import __version__  # noqa: PLC0415

    with ExitStack() as stack:
        instance = stack.enter_context(DagsterInstance.get())
        instance.optimize_for_webserver(STATEMENT_MILLISECONDS, POOL_SECONDS, POOL_CONNECTIONS)
        target = WorkspaceFileTarget([str(WORKSPACE)])
        context = stack.enter_context(WorkspaceProcessContext(instance, target, __version__))
        listener = stack.enter_context(listen(settings.web_port))
        port = listener.getsockname()[1]
        page = create_app_from_workspace_process_context(context)
        configuration = uvicorn.Config(
            Guard(page, allowed_hosts(port)),
            log_level="warning",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        stack.enter_context(announced(settings, "dagster-web", f"http://{LOOPBACK}:{port}"))
        uvicorn.Server(configuration).run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """A socket on this port of loopback, or on any free one where it is taken."""
    for wanted in (port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, wanted))
        except OSError:
            listener.close()
        else:
            listener.listen(128)
            return listener
    raise OSError(f"no port of {LOOPBACK} is free")


if __name__ == "__main__":
    raise SystemExit(main())
