"""``trade-platform upgrade``."""

from __future__ import annotations

import sys
import uuid

import click
import msgspec
from rich.console import Console

from trade_platform.adapters.upgrade_desk import Request
from trade_platform.commands.console import console, of_replay, settings_of, stop_on_signals
from trade_platform.commands.upgrade_screen import upgrade_screen
from trade_platform.operations.upgrade import DEADLINE_SECONDS, ask_for_upgrade


@click.command()
@click.option("--lane", "lanes", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=1),
    default=DEADLINE_SECONDS,
    show_default=True,
    help="Seconds for a new process to become live.",
)
@of_replay
@click.option("--json", "as_json", is_flag=True)
def upgrade(*, lanes: tuple[str, ...], deadline: float, replay: bool, as_json: bool) -> None:
    """Replace the running processes by new ones of the installed version, without a break.

    Each lane's new process starts beside the old one, which stops once the new one is live. `up` itself
    and the servers stay. Exit code 1 when a new process does not become live: then the old one works on.
    """
    folder = settings_of(replay=replay).data_folder
    request = Request(identity=uuid.uuid4().hex, lanes=lanes, deadline_seconds=deadline)
    stop = stop_on_signals()
    with upgrade_screen(Console(stderr=True, highlight=False) if as_json else console) as screen:
        progress = ask_for_upgrade(folder, request, screen.show, stop.wait)
    click.echo(msgspec.json.encode(progress) if as_json else progress.verdict)
    sys.exit(0 if progress.good else 1)
