"""Is everything in place? Each check says what it saw and, where something is wrong, what to do."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

import msgspec
import psycopg
import redis

from trade_platform.adapters.archive import archive_files
from trade_platform.adapters.dagster_home import LOOPBACK, is_open
from trade_platform.adapters.database.dagster_storage import NoDagsterStorage, check_dagster_storage
from trade_platform.adapters.database.migrate import newest
from trade_platform.adapters.passwords import hide_password
from trade_platform.adapters.process import read_runs
from trade_platform.adapters.selection_file import UnusableSelection, read_selection
from trade_platform.adapters.sources import NotThere, Unreachable
from trade_platform.domain.model import MICROSECONDS
from trade_platform.exchanges.session import Exchange

FREE_BYTES = 5 * 1024**3
CLOCK_MICROSECONDS = 2 * MICROSECONDS


class Verdict(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True):
    """What one check saw."""

    what: str
    verdict: Verdict
    seen: str
    remedy: str = ""


def check_python() -> Finding:
    """Version of the interpreter and of what carries the data."""
    names = ("websockets", "redis", "msgspec", "psycopg", "sqlalchemy")
    seen = f"Python {sys.version.split()[0]}; " + ", ".join(f"{name} {version(name)}" for name in names)
    return Finding("python", Verdict.GOOD, seen)


def check_selection(path: Path) -> Finding:
    """Is config/instruments.toml readable and sensible?"""
    try:
        selection = read_selection(path)
    except UnusableSelection as error:
        return Finding("what is recorded", Verdict.BAD, str(error), f"Correct {path}.")
    exchanges = sorted({rule.exchange for rule in selection.record})
    if not exchanges:
        return Finding(
            "what is recorded", Verdict.WARNING, f"{path} asks for nothing", "Add a [[record]] table."
        )
    return Finding(
        "what is recorded", Verdict.GOOD, f"{len(selection.record)} rules for {', '.join(exchanges)}"
    )


def check_folder(folder: Path) -> Finding:
    """Can the data folder be written, and is there room?"""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Finding(
            "data folder", Verdict.BAD, f"{folder}: {error.strerror}", "Set DATA_FOLDER to a folder of yours."
        )
    free = shutil.disk_usage(folder).free
    seen = f"{folder}, {free / 1024**3:.1f} GiB free"
    if free < FREE_BYTES:
        return Finding(
            "data folder", Verdict.WARNING, seen, "Make room: a day of a busy market takes gigabytes."
        )
    return Finding("data folder", Verdict.GOOD, seen)


def check_database(url: str) -> Finding:
    """Does PostgreSQL answer, in the right version, with every migration?"""
    if not url:
        return Finding("postgresql", Verdict.GOOD, "embedded; `trade-platform up` starts it")
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            server = connection.info.server_version // 10_000
            current = _revision(connection)
    except psycopg.Error as error:
        return Finding(
            "postgresql",
            Verdict.BAD,
            hide_password(str(error).strip().splitlines()[0], url),
            "Start the server or correct DATABASE_URL; unset it to use the embedded one.",
        )
    if server < 17:
        return Finding("postgresql", Verdict.BAD, f"version {server}", "PostgreSQL 17 or newer is needed.")
    if current != newest():
        return Finding(
            "postgresql",
            Verdict.WARNING,
            f"version {server}; its tables are of {current or 'no'} migration, {newest()} is the newest",
            "`trade-platform up` applies what is missing.",
        )
    return Finding("postgresql", Verdict.GOOD, f"version {server}, every migration applied")


def _revision(connection: psycopg.Connection) -> str | None:
    if connection.execute("select to_regclass('alembic_version') is null").fetchone() == (True,):
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def check_redis(url: str) -> Finding:
    """Does Redis answer, keep what it is given, and refuse rather than evict when it is full?"""
    if not url:
        return Finding("redis", Verdict.GOOD, "embedded; `trade-platform up` starts it")
    try:
        client = redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)
    except ValueError:  # it may repeat a piece of the password
        return Finding("redis", Verdict.BAD, "REDIS_URL is no Redis URL", "Set it to redis://host:port/0.")
    try:
        information = client.info()
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
        append_only = client.config_get("appendonly").get("appendonly", "")
    except redis.RedisError as error:
        return Finding(
            "redis",
            Verdict.BAD,
            hide_password(str(error), url),
            "Start the server or correct REDIS_URL; unset it for the embedded one.",
        )
    finally:
        client.close()
    seen = f"version {information['redis_version']}, {policy}, appendonly {append_only}"
    if int(str(information["redis_version"]).partition(".")[0]) < 7:
        return Finding("redis", Verdict.BAD, seen, "Redis 7 or newer, or Valkey, is needed.")
    if policy != "noeviction":
        return Finding(
            "redis", Verdict.BAD, seen, "Set maxmemory-policy noeviction: it would drop the streams."
        )
    if append_only != "yes":
        return Finding(
            "redis", Verdict.WARNING, seen, "Set appendonly yes: a restart would forget the streams."
        )
    return Finding("redis", Verdict.GOOD, seen)


def check_dagster(url: str) -> Finding:
    """Does Dagster's own database answer?"""
    if not url:
        return Finding("dagster's database", Verdict.GOOD, "`trade-platform up` makes it")
    try:
        tables = check_dagster_storage(url)
    except NoDagsterStorage as error:
        seen, _, remedy = str(error).partition(": ")
        return Finding("dagster's database", Verdict.BAD, seen, f"{remedy[:1].upper()}{remedy[1:]}")
    return Finding("dagster's database", Verdict.GOOD, f"answers; {tables} tables")


def check_page(folder: Path, port: int) -> Finding:
    """Where is the web page, or could it be?"""
    pages = [run.urls["page"]["http"] for run in read_runs(folder) if run.alive and "page" in run.urls]
    if pages:
        return Finding("web page", Verdict.GOOD, pages[0])
    if port and is_open(LOOPBACK, port):
        return Finding(
            "web page",
            Verdict.WARNING,
            f"port {port} is somebody else's: `trade-platform up` takes another and says which",
            "Set WEB_PORT to a free port for an address that stays.",
        )
    return Finding("web page", Verdict.GOOD, f"port {port} is free" if port else "on any free port")


def check_archive(location: str) -> Finding:
    """Is the archive where the setting says?"""
    if not location:
        return Finding("archive", Verdict.GOOD, "none; what REST no longer serves stays missing")
    try:
        asyncio.run(archive_files(location).text(""))
    except NotThere:  # its root is no file; that it answers is enough
        pass
    except Unreachable as error:
        verdict = Verdict.WARNING if "://" in location else Verdict.BAD  # a server may be back in a minute
        return Finding("archive", verdict, str(error), "Correct ARCHIVE; unset it to repair by REST alone.")
    return Finding("archive", Verdict.GOOD, location)


def check_exchange(exchange: Exchange, ask: Callable[[Exchange], bytes]) -> Finding:
    """Does the exchange answer, and how far is our clock from its?"""
    what = f"{exchange.key} and the clock"
    before = time.time_ns() // 1000
    try:
        theirs = exchange.parse_time(ask(exchange))
    except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and the next check runs
        return Finding(
            what, Verdict.WARNING, str(error), "Check the network; recording begins once it answers."
        )
    after = time.time_ns() // 1000
    offset = theirs - (before + after) // 2
    seen = f"answers in {(after - before) / 1000:.0f} ms; our clock is {abs(offset) / 1000:.0f} ms "
    seen += "behind" if offset > 0 else "ahead"
    if abs(offset) > CLOCK_MICROSECONDS:
        return Finding(what, Verdict.BAD, seen, "Have the clock kept by NTP (timedatectl set-ntp true).")
    return Finding(what, Verdict.GOOD, seen)


def doctor(
    *,
    data_folder: Path,
    instruments_file: Path,
    database_url: str,
    redis_url: str,
    dagster_url: str,
    web_port: int,
    archive: str,
    exchanges: Mapping[str, Exchange],
    ask: Callable[[Exchange], bytes],
) -> Iterable[Finding]:
    """Every check, one after the other, so that a person sees progress. ``ask`` performs a time request."""
    yield check_python()
    yield check_selection(instruments_file)
    yield check_folder(data_folder)
    yield check_database(database_url)
    yield check_redis(redis_url)
    yield check_dagster(dagster_url)
    yield check_page(data_folder, web_port)
    yield check_archive(archive)
    for exchange in exchanges.values():
        yield check_exchange(exchange, ask)
