"""``trade-platform reconcile``: our books of accounts against their exchanges."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import click
import msgspec

from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database import roles
from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection, SchemaBehind
from trade_platform.adapters.database.reconciliations import explain
from trade_platform.adapters.database.times import microseconds_of
from trade_platform.adapters.process import CannotStart
from trade_platform.commands.account_tables import draw_reconciled, draw_standing
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.operations.desk import NotStored
from trade_platform.operations.reconcile import Reconciled, reconcile
from trade_platform.operations.reconciling import standing_of
from trade_platform.reconcile_desk import account_desk, chosen_accounts, open_books
from trade_platform.settings import Settings


@click.command(name="reconcile")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--from", "start", help="Compare from here on, UTC: 2026-11-22 or 2026-11-22T14:30.")
@click.option("--to", "end", help="Until here; else until now.")
@click.option("--dry-run", is_flag=True, help="Compare and note, but add nothing to the books.")
@click.option("--show", is_flag=True, help="Ask nothing: show what is open, and what cannot be matched.")
@click.option(
    "--explain", "explained", type=click.UUID, help="Close this discrepancy, which is as it should be."
)
@click.option("--reason", default="", help="Why it is; with --explain.")
@click.option("--watch", type=click.IntRange(5), metavar="SECONDS", help="Again and again, until Ctrl-C.")
@of_replay
@click.option("--json", "as_json", is_flag=True)
def reconcile_accounts(
    accounts: tuple[str, ...],
    *,
    start: str | None,
    end: str | None,
    dry_run: bool,
    show: bool,
    explained: UUID | None,
    reason: str,
    watch: int | None,
    replay: bool,
    as_json: bool,
) -> None:
    """Hold what is stored of ACCOUNTs, or of all, against what their exchanges tell.

    What was missed is read again and added. Exit code 1 where something still differs, or could not be asked.
    """
    if explained and (len(accounts) != 1 or not reason):
        raise click.UsageError("--explain takes one ACCOUNT, and --reason says why it is as it should be.")
    settings = settings_of(replay=replay)
    if watch:
        from trade_platform.commands.reconcile_watch import run  # noqa: PLC0415 - only who watches pays for it

        asyncio.run(run(settings, accounts, watch))
        return
    since, until = (None if text is None else moment_of(text) for text in (start, end))
    with _books(settings) as connection:
        chosen = chosen_accounts(connection, accounts)
        if not chosen:
            raise CannotStart("There is no account yet: `trade-platform account add` adds one.")
        if explained:
            _explain(settings, connection, chosen[0], explained, reason)
        elif show:
            _show(connection, chosen, as_json=as_json)
        else:
            done = asyncio.run(_all(settings, connection, chosen, since, until, heal=not dry_run))
            _tell(done, as_json=as_json)


def moment_of(text: str) -> int:
    """Microseconds UTC of what a person wrote. Raises click.UsageError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no moment: write 2026-11-22 or 2026-11-22T14:30.") from error
    return microseconds_of(at if at.tzinfo else at.replace(tzinfo=UTC))


def _books(settings: Settings) -> closing[Connection]:
    try:
        return closing(open_books(settings, "reconcile"))
    except SchemaBehind as error:
        raise CannotStart(str(error)) from error


async def _all(
    settings: Settings,
    connection: Connection,
    accounts: list[Account],
    since: int | None,
    until: int | None,
    *,
    heal: bool,
) -> list[Reconciled]:
    done = []
    for account in accounts:
        async with account_desk(settings, connection, account) as desk:
            try:
                done.append(await reconcile(desk, since=since, until=until, heal=heal))
            except NotStored as error:
                raise CannotStart(str(error)) from error
    return done


def _tell(done: list[Reconciled], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        for one in done:
            console.print(draw_reconciled(one))
    if any(one.open or one.unknown for one in done):
        sys.exit(1)


def _show(connection: Connection, accounts: list[Account], *, as_json: bool) -> None:
    found = [standing_of(connection, account) for account in accounts]
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for one in found:
            console.print(draw_standing(one))
    if any(one.discrepancies for one in found):
        sys.exit(1)


def _explain(
    settings: Settings, connection: Connection, account: Account, identity: UUID, reason: str
) -> None:
    owner = Owner(account.tenant_id, account.account_id, account.exchange)
    with connection.transaction():
        roles.tenant(connection, account.tenant_id)
        now = clock_from_text(settings.market_clock).market()
        if not explain(connection, owner, identity, reason, now):
            raise CannotStart(
                f"No discrepancy {identity} of {account.key} is open: `reconcile --show` says which are."
            )
    console.print(f"{identity} is explained.", markup=False)
