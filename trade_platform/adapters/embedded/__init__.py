"""Servers of our own for development, tests and the demo: PostgreSQL and Redis from wheels or from PATH.

``start_postgres`` and ``start_redis`` start the server of a data folder and answer with a running
``Server`` (``url``, ``pid``, ``stop()``; a context that stops it). Data survive; a second start on the same
folder is refused with the holder's name; a starter that is killed takes its servers with it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from trade_platform.adapters.embedded.failure import EmbeddedError
from trade_platform.adapters.embedded.folder import running
from trade_platform.adapters.embedded.postgres import start_postgres
from trade_platform.adapters.embedded.redis import start_redis
from trade_platform.adapters.embedded.server import STOP_SECONDS, Server
from trade_platform.adapters.process import wait_for_end

__all__ = ["EmbeddedError", "Server", "start_postgres", "start_redis", "stop_left_over", "url_of"]


def url_of(folder: Path) -> str:
    """URL of the server that runs on this data folder now; empty where none does."""
    holder = running(folder)
    return holder.url if holder else ""


def stop_left_over(folder: Path) -> bool:
    """Stop the server that a killed run left on this data folder; False where there is none."""
    holder = running(folder)
    if holder is None:
        return False
    os.kill(holder.pid, signal.SIGINT if holder.server.startswith("PostgreSQL") else signal.SIGTERM)
    return wait_for_end(holder.pid, STOP_SECONDS)
