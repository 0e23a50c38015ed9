"""``trade-platform statement``: what accounts did, in USD, by asset and by strategy."""

from __future__ import annotations

import csv
import io
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.times import moment
from trade_platform.adapters.process import CannotStart
from trade_platform.commands.account_tables import draw_statement
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.commands.reconcile import moment_of
from trade_platform.domain.difference import in_text
from trade_platform.domain.model import DAY
from trade_platform.operations.statement import Statement, TaxRow, statement
from trade_platform.reconcile_desk import chosen_accounts, step_down
from trade_platform.surroundings import database

DAYS = 7
SUFFIXES = {".png": "png", ".svg": "svg"}
_a_file = click.Path(dir_okay=False, path_type=Path)


@click.command(name="statement")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--from", "start", help="First moment, UTC: 2026-11-22 or 2026-11-22T14:30.")
@click.option("--to", "end", help="End of the range, exclusive; else now.")
@click.option("--last", type=click.IntRange(1), metavar="DAYS", help=f"So many days; else {DAYS}.")
@click.option("--plot", type=_a_file, help="Draw equity and profit into FILE.png or FILE.svg.")
@click.option("--csv", "table", type=_a_file, help="Write every trade, fee and movement, for taxes.")
@of_replay
@click.option("--json", "as_json", is_flag=True)
def account_statement(
    accounts: tuple[str, ...],
    *,
    start: str | None,
    end: str | None,
    last: int | None,
    plot: Path | None,
    table: Path | None,
    replay: bool,
    as_json: bool,
) -> None:
    """Equity, profit, fees, funding and risk of ACCOUNTs, or of all. Exit code 1 where nothing is known."""
    if plot and plot.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"--plot {plot}: name a file that ends with .png or .svg.")
    if last and start:
        raise click.UsageError("--last and --from exclude each other.")
    settings = settings_of(replay=replay)
    until = moment_of(end) if end else clock_from_text(settings.market_clock).market()
    since = moment_of(start) if start else until - (last or DAYS) * DAY
    if since >= until:
        raise click.UsageError("The range ends before it begins: --from lies before --to.")
    with database(settings) as connection:
        step_down(connection)
        chosen = chosen_accounts(connection, accounts)
        if not chosen:
            raise CannotStart("There is no account yet: `trade-platform account add` adds one.")
        made = statement(connection, chosen, since, until)
    if plot:
        _write(plot, drawn(made, SUFFIXES[plot.suffix.lower()]))
    if table:
        _write(table, as_csv(made).encode())
    if as_json:
        click.echo(msgspec.json.encode(made))
    else:
        console.print(draw_statement(made))
    if not any(one.lines for one in made.accounts):
        sys.exit(1)


def drawn(made: Statement, kind: Any = "png") -> bytes:
    """The picture."""
    from trade_platform.pictures.equity import equity  # noqa: PLC0415 - only who draws pays for it

    curves = {one.account: one.curve for one in made.accounts}
    return equity(made.curve, curves, made.since, made.until, kind=kind)


def as_csv(made: Statement) -> str:
    """A row an event, the oldest first; amounts exact, times ISO 8601 UTC."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TaxRow.__struct_fields__)
    rows = sorted(
        (row for one in made.accounts for row in one.taxes), key=lambda one: (one.time, one.account)
    )
    for row in rows:
        time, *rest = msgspec.structs.astuple(row)
        writer.writerow([moment(time).isoformat().replace("+00:00", "Z"), *(_word(value) for value in rest)])
    return out.getvalue()


def _word(value: object) -> str:
    return in_text(value) or "" if isinstance(value, Decimal) else str(value or "")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CannotStart(f"{path} cannot be written ({error.strerror}): choose another file.") from error
    console.print(f"{path} is written.", soft_wrap=True, markup=False)
