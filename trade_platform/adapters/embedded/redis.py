"""Embedded Redis (Valkey): starts on a Unix socket in its data folder, with an append-only file."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from trade_platform.adapters.embedded.account import Account, choose
from trade_platform.adapters.embedded.binaries import find_redis
from trade_platform.adapters.embedded.failure import unwritable
from trade_platform.adapters.embedded.folder import socket_folder, take
from trade_platform.adapters.embedded.server import Plan, Server, start

NAME: Final = "Redis"
SOCKET: Final = "redis.sock"
PARAMETERS: Final[Mapping[str, str]] = {
    "port": "0",  # the socket alone, in a folder that is its owner's alone
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "tcp-keepalive": "5",
}


def start_redis(
    folder: Path,
    *,
    binary: str = "",
    megabytes: int = 1024,
    parameters: Mapping[str, str] | None = None,
) -> Server:
    """Start the server of this data folder; raises EmbeddedError."""
    folder = folder.absolute()
    program = find_redis(binary)
    try:
        account = choose(folder, lambda _: True, as_root=True, fresh=True)
        with take(folder) as lock:
            folder.chmod(0o700)
            sockets = socket_folder(folder, account.owner, SOCKET)
            plan = _plan(
                program, account, folder, sockets, {"maxmemory": f"{megabytes}mb", **(parameters or {})}
            )
            return start(plan, lock, lambda: _ready(sockets / SOCKET))
    except OSError as error:
        raise unwritable(folder, error) from error


def _plan(
    program: Path, account: Account, folder: Path, sockets: Path, parameters: Mapping[str, str]
) -> Plan:
    chosen = {**PARAMETERS, "dir": str(folder), "unixsocket": str(sockets / SOCKET), **parameters}
    options = [part for name, value in chosen.items() for part in (f"--{name}", value)]
    return Plan(
        name=NAME,
        command=[str(program), *options],
        folder=folder,
        sockets=sockets,
        account=account,
        url=f"unix://{quote(str(sockets / SOCKET))}?db=0",
        stop_signal=signal.SIGTERM,
        environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
    )


def _ready(path: Path) -> bool:
    """Does it answer, with its data loaded?"""
    try:
        with Redis(unix_socket_path=str(path), socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False
