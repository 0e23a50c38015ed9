"""``trade-platform down``."""

from __future__ import annotations

import click

from trade_platform.adapters.children import stop_leftovers
from trade_platform.adapters.embedded import stop_left_over
from trade_platform.commands.console import REPLAY
from trade_platform.settings import settings_from


@click.command()
def down() -> None:
    """Stop what runs in this data folder, or what a killed run left behind there."""
    data = settings_from().data_folder.absolute()
    stopped: list[str] = []
    for folder in (data, data / REPLAY):
        stopped += stop_leftovers(folder)
        stopped += [name for name in ("redis", "postgres") if stop_left_over(folder / name)]
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
