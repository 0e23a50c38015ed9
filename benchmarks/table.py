"""The table, for a terminal and for docs/performance.md."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg
from redis import Redis
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, spell, verdict
from benchmarks.procfs import Cores, processor_name

COLUMNS = ("work", "figure", "unit", "limit in the same run", "ratio", "reach", "how it was taken")
LIBRARIES = ("websockets", "uvloop", "msgspec", "redis", "psycopg")
WIDTH = 190
STYLES = {"reached": "green", "good": "green", "not reached": "yellow", "too far": "red", "void": "red"}


def row_of(figure: Figure, *, quick: bool) -> tuple[str, ...]:
    """One line, as text."""
    said = verdict(figure, quick=quick)
    asked = figure.gate if quick else figure.reach
    reach = f"{asked}{' × limit' if quick else ''}: {said}" if asked and said else said
    return (
        figure.work,
        "void" if figure.value is None else spell(figure.value),
        figure.unit,
        f"{spell(figure.limit)} ({figure.limit_is})" if figure.limit else "",
        "" if figure.ratio is None else f"{spell(figure.ratio)} ×",
        reach,
        figure.how,
    )


def show(figures: Iterable[Figure], *, quick: bool) -> None:
    """Print the table; where there is no terminal it is as wide as it likes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, show_lines=True)
    table.columns[1].justify = table.columns[4].justify = "right"
    for figure in figures:
        table.add_row(*row_of(figure, quick=quick), style=STYLES.get(verdict(figure, quick=quick)))
    console.print(table)


def markdown(figures: Iterable[Figure], *, quick: bool) -> str:
    """The same for a document."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(row_of(figure, quick=quick) for figure in figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def circumstances(cores: Cores, database_url: str, redis_url: str) -> str:
    """When, where and with what."""
    with psycopg.connect(database_url) as connection, Redis.from_url(redis_url) as redis:
        postgres = connection.info.server_version
        about = redis.info("server")
    server = (
        f"Valkey {about['valkey_version']}"
        if "valkey_version" in about
        else f"Redis {about['redis_version']}"
    )
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    machine = f"{processor_name()}, {len(cores.measured | cores.others)} cores"
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine}, {system}; {libraries}; "
        f"PostgreSQL {postgres // 10000}.{postgres % 10000}, {server}. Pinned: {cores}."
    )
