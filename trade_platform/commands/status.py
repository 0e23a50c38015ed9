"""``trade-platform status`` and ``verify``: how it is, and the proof that nothing is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
import psycopg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trade_platform.commands.console import console, of_replay, settings_of, stop_on_signals
from trade_platform.operations.status import read_status
from trade_platform.operations.verify import Verification
from trade_platform.operations.verify import verify as prove
from trade_platform.surroundings import connections, database
from trade_platform.terminal import StatusScreen, draw_status, print_verification


@click.command()
@click.option("--watch", is_flag=True, help="Redraw every second until Ctrl-C.")
@of_replay
@click.option("--json", "as_json", is_flag=True)
def status(*, watch: bool, replay: bool, as_json: bool) -> None:
    """One screen: exchanges, instruments, streams, processes. Exit code 1 when something is unhealthy."""
    settings = settings_of(replay=replay)
    with connections(settings) as (connection, bus):
        if watch:
            with StatusScreen(console) as screen:
                pause = stop_on_signals()
                while not pause.wait(1.0):
                    screen.show(read_status(connection, bus, settings.data_folder))
            return
        seen = read_status(connection, bus, settings.data_folder)
        if as_json:
            click.echo(msgspec.json.encode(seen))
        else:
            console.print(draw_status(seen, {}))
    sys.exit(0 if seen.good else 1)


@click.command()
@of_replay
@click.option("--json", "as_json", is_flag=True)
def verify(*, replay: bool, as_json: bool) -> None:
    """Completeness as a proof; exit code 1 on anything missing, duplicated or altered."""
    settings = settings_of(replay=replay)
    with database(settings) as connection:
        if as_json:
            verification = prove(connection, settings.data_folder)
            click.echo(msgspec.json.encode(verification))
        else:
            verification = _prove_with_progress(connection, settings.data_folder)
            print_verification(console, verification)
    sys.exit(0 if verification.good else 1)


def _prove_with_progress(connection: psycopg.Connection, folder: Path) -> Verification:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("verifying", total=None)

        def note(exchange: str, lines: int) -> None:
            progress.update(task, description=f"{exchange}: {lines:,} ledger lines")

        return prove(connection, folder, progress=note)
