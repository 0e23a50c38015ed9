"""``trade-platform gaps`` and ``gaps repair``: the ledger of what is missing, and the work on it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import click
import msgspec
import structlog
from rich.console import Console

from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.connection import Connection, SchemaBehind, WrongUrl
from trade_platform.adapters.database.gaps import Filter, listed_gaps, summary
from trade_platform.adapters.database.revision import check_revision
from trade_platform.adapters.process import CannotStart, PortTaken
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.commands.gap_table import RepairBar, draw_gaps, in_rows
from trade_platform.commands.repair_once import check_symbols, repair_once
from trade_platform.commands.repair_watch import watch
from trade_platform.domain.model import MICROSECONDS
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.desk import NotStored
from trade_platform.surroundings import database

MOST: int = 500
"""Rows that are read; the table says how many it leaves out."""
WIDE: int = 200
"""Columns where there is no terminal."""

_of_exchange = click.option("--exchange", "exchanges", multiple=True, type=click.Choice(sorted(EXCHANGES)))
_of_symbol = click.option("--symbol", "symbols", multiple=True, help="The exchange's own name; may repeat.")
_since = click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
    help="Only what ended after this moment, UTC.",
)


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Every gap ever noted, not only those of 24 hours.")
@_of_exchange
@_of_symbol
@_since
@of_replay
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def gaps(
    context: click.Context,
    *,
    everything: bool,
    exchanges: tuple[str, ...],
    symbols: tuple[str, ...],
    since: datetime | None,
    replay: bool,
    as_json: bool,
) -> None:
    """What is missing, or was: open gaps first. Exit code 1 when one is open or beyond repair."""
    if context.invoked_subcommand is not None:
        return
    only = _filter(exchanges, symbols, since)
    with database(settings_of(replay=replay)) as connection:
        _check_schema(connection)
        check_symbols(connection, only)
        rows = listed_gaps(connection, hours=None if everything else 24.0, limit=MOST, only=only)
        counts = summary(connection, only=only)
    if as_json:
        click.echo(msgspec.json.encode({"gaps": in_rows(rows), "last_24_hours": counts}))
    else:
        paper = console if console.is_terminal else Console(width=max(console.width, WIDE), highlight=False)
        paper.print(draw_gaps(rows, counts, most=MOST, width=paper.width))
    sys.exit(1 if any(row.state != "repaired" for row in rows) else 0)


@gaps.command()
@click.option("--watch", "watching", is_flag=True, help="Go on until SIGTERM, as a process of the platform.")
@click.option(
    "--again", is_flag=True, help="Also what was given up: an archive was added, a symbol came back."
)
@click.option(
    "--days", type=click.IntRange(0, 400), default=2, show_default=True, help="Of coverage searched."
)
@_of_exchange
@_of_symbol
@_since
@of_replay
def repair(
    *,
    watching: bool,
    again: bool,
    days: int,
    exchanges: tuple[str, ...],
    symbols: tuple[str, ...],
    since: datetime | None,
    replay: bool,
) -> None:
    """Read again what is missing. Exit code 1 when something stays open, or is newly beyond repair."""
    settings = settings_of(replay=replay)
    only = _filter(exchanges, symbols, since)
    try:
        clock_from_text(settings.market_clock)
        if watching:
            sys.exit(asyncio.run(watch(settings, only, days)))
        _quiet_logs()
        with RepairBar(Console(stderr=True)) as bar:
            outcome = asyncio.run(repair_once(settings, only, days=days, again=again, progress=bar.show))
    except (CannotStart, NotStored, PortTaken, WrongUrl) as error:
        click.echo(f"trade-platform: {error}", err=True)
        sys.exit(1 if isinstance(error, NotStored) else 2)
    console.print(outcome.words, soft_wrap=True)
    sys.exit(0 if outcome.good else 1)


def _check_schema(connection: Connection) -> None:
    """Raises CannotStart, with the sentence of the repair."""
    try:
        check_revision(connection)
    except SchemaBehind as error:
        raise CannotStart(f"{error}.") from error


def _filter(exchanges: tuple[str, ...], symbols: tuple[str, ...], since: datetime | None) -> Filter:
    moment = None if since is None else round(since.replace(tzinfo=UTC).timestamp() * MICROSECONDS)
    return Filter(exchanges=exchanges, symbols=symbols, since=moment)


def _quiet_logs() -> None:
    """A person reads sentences; only warnings come from below."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
