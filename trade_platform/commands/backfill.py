"""``trade-platform backfill``: days of the past, read from archives and by REST."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Final

import click
import msgspec
import structlog
from rich.console import Console

from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.catalogue import unknown_symbols
from trade_platform.adapters.database.connection import SchemaBehind, WrongUrl
from trade_platform.adapters.database.times import day_of
from trade_platform.adapters.process import CannotStart, stop_event
from trade_platform.commands.backfill_screen import BackfillBar, draw_outcome, in_words
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.domain.backfill import SourceOfDays
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.operations.backfill import Backfilled, BackfillRuns
from trade_platform.operations.backfill import backfill as read_days
from trade_platform.operations.desk import NotStored
from trade_platform.operations.wishes import Wish, find_targets
from trade_platform.repair_desk import desk_from, open_database
from trade_platform.settings import Settings

INTERRUPTED: Final = 130

_DAY: Final = click.DateTime(["%Y-%m-%d"])


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The command line."""

    first: date
    last: date | None
    exchanges: tuple[str, ...]
    symbols: tuple[str, ...]
    source: SourceOfDays


@click.command()
@click.option("--from", "first", type=_DAY, required=True, help="The first day, UTC.")
@click.option("--to", "last", type=_DAY, help="The last day, UTC; yesterday if not given.")
@click.option("--exchange", "exchanges", multiple=True, type=click.Choice(sorted(EXCHANGES)))
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    help="The exchange's own name; may repeat. Without it: all whose trades are recorded.",
)
@click.option(
    "--source",
    type=click.Choice([one.value for one in SourceOfDays]),
    default=SourceOfDays.ANY.value,
    show_default=True,
    help="any: days that are over from the archive (ARCHIVE), what it lacks by REST.",
)
@of_replay
@click.option("--json", "as_json", is_flag=True)
def backfill(
    *,
    first: datetime,
    last: datetime | None,
    exchanges: tuple[str, ...],
    symbols: tuple[str, ...],
    source: str,
    replay: bool,
    as_json: bool,
) -> None:
    """Read days of the past: trades, the exchange's own candles, and candles made of them.

    What is held already is not read again: stopped or killed, the same command goes on from there. Exit code
    1 when a day is not whole at the end.
    """
    settings = settings_of(replay=replay)
    asked = Asked(
        first=first.date(),
        last=None if last is None else last.date(),
        exchanges=exchanges,
        symbols=symbols,
        source=SourceOfDays(source),
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    try:
        with BackfillBar(Console(stderr=True)) as bar:
            done = asyncio.run(run(settings, asked, bar))
    except (BackfillRuns, CannotStart, NotStored, WrongUrl) as error:
        click.echo(f"trade-platform: {error}", err=True)
        sys.exit(1 if isinstance(error, NotStored) else 2)
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        console.print(*filter(None, (draw_outcome(done), in_words(done))), sep="\n", soft_wrap=True)
    sys.exit(INTERRUPTED if done.stopped else 0 if done.good else 1)


async def run(settings: Settings, asked: Asked, bar: BackfillBar) -> Backfilled:
    """Raises BackfillRuns, CannotStart, NotStored, WrongUrl, psycopg.Error, RedisError."""
    stop = stop_event()
    days = days_of(asked, day_of(clock_from_text(settings.market_clock).market()))
    try:
        connection = open_database(settings, "backfill")
    except SchemaBehind as error:
        raise CannotStart(f"{error}.") from error
    with closing(connection):
        if unknown := unknown_symbols(connection, asked.symbols, asked.exchanges):
            where = f" at {', '.join(asked.exchanges)}" if asked.exchanges else ""
            raise CannotStart(f"Nothing is known of {', '.join(unknown)}{where}.")
        async with desk_from(settings, connection, stop) as desk:
            targets = await find_targets(desk, asked.exchanges, asked.symbols)
            if not targets:
                raise CannotStart("Nothing is recorded yet: name instruments with --symbol.")
            wishes = [Wish(target, days) for target in targets]
            return await read_days(desk, wishes, source=asked.source, progress=bar.show)


def days_of(asked: Asked, today: date) -> list[date]:
    """Those that are asked for. Raises CannotStart."""
    last = asked.last or today - timedelta(days=1)
    if last > today:
        raise CannotStart(f"--to is {last}, and today is {today}: the future cannot be read.")
    if asked.first > last:
        raise CannotStart(f"--from is {asked.first}, which is after {last}: no day lies between.")
    return [asked.first + timedelta(days=n) for n in range((last - asked.first).days + 1)]
