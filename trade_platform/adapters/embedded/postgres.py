"""Embedded PostgreSQL: makes the cluster once, then starts it on a Unix socket in its data folder."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from trade_platform.adapters.embedded.account import Account, choose
from trade_platform.adapters.embedded.binaries import POSTGRES_MAJOR, PostgresBinaries, find_postgres
from trade_platform.adapters.embedded.failure import EmbeddedError, sentence, unwritable
from trade_platform.adapters.embedded.folder import socket_folder, take
from trade_platform.adapters.embedded.server import Plan, Server, run_to_end, start

NAME: Final = f"PostgreSQL {POSTGRES_MAJOR}"
USER: Final = "postgres"
SOCKET: Final = ".s.PGSQL.5432"
PARAMETERS: Final[Mapping[str, str]] = {
    "listen_addresses": "",  # the socket alone, in a folder that is its owner's alone
    "unix_socket_permissions": "0700",
    "max_connections": "140",  # Dagster may take 60 of them
    "max_locks_per_transaction": "256",  # a query over months of daily partitions locks each
    "shared_buffers": "192MB",
    "maintenance_work_mem": "128MB",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",  # our sentences are made from its words
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


def start_postgres(
    folder: Path,
    *,
    binaries: str = "",
    database: str = "trade_platform",
    parameters: Mapping[str, str] | None = None,
) -> Server:
    """Start the server of this data folder and make sure of the database; raises EmbeddedError."""
    folder = folder.absolute()
    programs = find_postgres(binaries)
    try:
        account = choose(
            folder,
            lambda account: _works(programs, account, folder),
            as_root=False,
            fresh=not (folder / "cluster").exists(),
        )
        with take(folder) as lock:
            os.chown(folder, *account.owner)
            folder.chmod(0o700)
            sockets = socket_folder(folder, account.owner, SOCKET)
            plan = _plan(programs, account, folder, sockets, database, parameters or {})
            _ensure_cluster(programs, plan)
            server = start(plan, lock, lambda: _ready(sockets))
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        _ensure_database(sockets, database)
    except BaseException:
        server.stop()
        raise
    return server


def _works(programs: PostgresBinaries, account: Account, folder: Path) -> bool:
    """Can this account reach the programs and the data folder's place?"""
    command = [programs.tool("postgres"), "--version"]
    return run_to_end(command, account, folder.parent, _environment()).returncode == 0


def _plan(
    programs: PostgresBinaries,
    account: Account,
    folder: Path,
    sockets: Path,
    database: str,
    parameters: Mapping[str, str],
) -> Plan:
    chosen = {
        **PARAMETERS,
        "unix_socket_directories": str(sockets),
        "wal_compression": "lz4" if programs.from_wheel else "pglz",  # a foreign build may lack lz4
        **parameters,
    }
    options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
    return Plan(
        name=NAME,
        command=[programs.tool("postgres"), "-D", str(folder / "cluster"), *options],
        folder=folder,
        sockets=sockets,
        account=account,
        url=f"postgresql://{USER}@/{quote(database)}?host={quote(str(sockets), safe='')}",
        stop_signal=signal.SIGINT,  # fast: sessions are ended, everything is written
        environment=_environment(),
    )


def _environment() -> dict[str, str]:
    """Nothing of ours but PATH: PGDATA, PGPORT and the like would change what is started."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _ensure_cluster(programs: PostgresBinaries, plan: Plan) -> None:
    cluster = plan.folder / "cluster"
    if cluster.exists():
        _check_major(cluster)
        _forget_stale_pid(cluster)
        return
    unfinished = plan.folder / "cluster.new"  # renamed when whole: a killed initdb leaves nothing half
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [
        programs.tool("initdb"), f"--pgdata={unfinished}", f"--username={USER}", "--auth=trust",
        "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
        "--data-checksums", "--no-instructions",
    ]  # fmt: skip
    outcome = run_to_end(command, plan.account, plan.folder, plan.environment)
    if outcome.returncode:
        log = plan.folder / "server.log"
        with log.open("ab") as file:
            since = file.seek(0, os.SEEK_END)
            file.write(outcome.stdout + outcome.stderr)
        raise EmbeddedError(sentence(NAME, log, since))
    unfinished.rename(cluster)


def _check_major(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != str(POSTGRES_MAJOR):
        raise EmbeddedError(
            f"{cluster} was made by PostgreSQL {version}, and this is {POSTGRES_MAJOR}: dump it with that "
            "version (pg_dumpall), move the folder away, start again and load the dump; or set DATA_FOLDER "
            "to another folder."
        )


def _forget_stale_pid(cluster: Path) -> None:
    """Remove the pid file of a crashed server whose number another program has got since.

    The lock that we hold says that no server of ours runs here; PostgreSQL itself judges the rest.
    """
    path = cluster / "postmaster.pid"
    try:
        pid = int(path.read_text(encoding="utf-8").split("\n", 1)[0])
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return
    if program != "postgres":
        path.unlink()


def _connect(sockets: Path) -> psycopg.Connection:
    return psycopg.connect(
        host=str(sockets), user=USER, dbname="postgres", autocommit=True, connect_timeout=10
    )


def _ready(sockets: Path) -> bool:
    try:
        _connect(sockets).close()
    except psycopg.OperationalError:
        return False
    return True


def _ensure_database(sockets: Path, database: str) -> None:
    with _connect(sockets) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
