"""``trade-platform maintain``."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec
from rich.table import Table

from trade_platform.adapters.dagster_home import home_of
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.operations.dagster_tables import Days, Deleted, prune
from trade_platform.surroundings import dagster_database


@click.command()
@of_replay
@click.option("--json", "as_json", is_flag=True)
def maintain(*, replay: bool, as_json: bool) -> None:
    """Delete from Dagster's tables and logs what nobody looks up any more; a daily schedule does so, too."""
    settings = settings_of(replay=replay)
    days = Days(
        events=settings.dagster_event_days, runs=settings.dagster_run_days, ticks=settings.dagster_tick_days
    )
    with dagster_database(settings) as connection:
        done = prune(connection, days, now=datetime.now(UTC), home=home_of(settings.data_folder))
    if as_json:
        click.echo(msgspec.json.encode(done))
    elif done:
        console.print(draw(done))
    else:
        console.print("Dagster has stored nothing yet.")


def draw(done: list[Deleted]) -> Table:
    """What was deleted, a line each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("of Dagster")
    table.add_column("deleted", justify="right")
    for one in done:
        table.add_row(one.what, f"{one.count:,}")
    return table
