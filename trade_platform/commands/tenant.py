"""``trade-platform tenant``: who else has accounts here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg
from rich.table import Table

from trade_platform.adapters.database import tenants
from trade_platform.adapters.database.connection import SchemaBehind
from trade_platform.adapters.database.revision import check_revision
from trade_platform.adapters.database.roles import CannotStepDown
from trade_platform.adapters.database.tenant_export import Format, export_rows
from trade_platform.adapters.database.tenants import Tenant, TenantRefused
from trade_platform.adapters.process import CannotStart
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.surroundings import database


@contextmanager
def _connected(*, replay: bool) -> Iterator[psycopg.Connection]:
    """What goes wrong is one sentence; raises CannotStart, NotHere."""
    with database(settings_of(replay=replay)) as connection:
        try:
            check_revision(connection)
            yield connection
        except SchemaBehind as error:
            raise CannotStart(f"{error}.") from error
        except (CannotStepDown, TenantRefused) as error:
            raise CannotStart(str(error)) from error


@click.group()
def tenant() -> None:
    """Who has accounts here; none sees anything of another."""


@tenant.command()
@click.argument("slug")
@click.option("--days", type=click.IntRange(1, 60), default=7, show_default=True, help="How long it is open.")
@click.option("--accounts", type=click.IntRange(0), help="Quota: how many accounts.")
@click.option("--signatures", type=click.IntRange(0), help="Quota: signatures a minute, of all its accounts.")
@of_replay
def invite(*, slug: str, days: int, accounts: int | None, signatures: int | None, replay: bool) -> None:
    """Invite somebody, or again whoever has not come yet. The token is shown once and works once."""
    with _connected(replay=replay) as connection:
        invitation = tenants.invite(connection, slug, days=days)
        tenants.set_quotas(connection, slug, accounts=accounts, signatures_per_minute=signatures)
    click.echo(
        f"Hand this token to {slug}, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC; "
        "`trade-platform tenant accept` asks for it:",
        err=True,
    )
    click.echo(invitation.token)


@tenant.command()
@of_replay
def accept(*, replay: bool) -> None:
    """Accept an invitation: asks for its token, or reads it from standard input."""
    token = click.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    with _connected(replay=replay) as connection:
        slug = tenants.accept(connection, token)
    console.print(f"{slug} is here: `trade-platform account add {slug}.main` takes its first key.")


@tenant.command()
@click.argument("slug")
@click.option("--accounts", type=click.IntRange(0), help="How many accounts.")
@click.option("--signatures", type=click.IntRange(0), help="Signatures a minute, of all its accounts.")
@of_replay
def quota(*, slug: str, accounts: int | None, signatures: int | None, replay: bool) -> None:
    """Change what a tenant may use."""
    with _connected(replay=replay) as connection:
        tenants.set_quotas(connection, slug, accounts=accounts, signatures_per_minute=signatures)
    console.print(f"The quotas of {slug} are changed.")


@tenant.command(name="list")
@of_replay
def list_(*, replay: bool) -> None:
    """All tenants with their quotas; nothing of what they hold."""
    with _connected(replay=replay) as connection:
        console.print(_draw(tenants.listed(connection)))


@tenant.command()
@click.argument("slug")
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice([one.value for one in Format]), default=Format.JSON.value)
@of_replay
def export(*, slug: str, folder: Path, form: str, replay: bool) -> None:
    """Write every row of a tenant to files of its own, a table each; secrets cannot be among them."""
    with _connected(replay=replay) as connection:
        tenant_id = tenants.tenant_id_of(connection, slug)
        try:
            counts = export_rows(connection, tenant_id, folder, Format(form))
        except OSError as error:
            raise CannotStart(f"{folder} cannot be written ({error.strerror}): choose another.") from error
    for name, count in counts.items():
        console.print(f"{name}: {count:,} rows")


@tenant.command()
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Do not ask.")
@of_replay
def remove(*, slug: str, yes: bool, replay: bool) -> None:
    """Delete every row of a tenant, its sealed keys first. Its audit trail stays, without its name."""
    if not yes:
        click.confirm(f"Delete everything of {slug}?", abort=True, err=True)
    with _connected(replay=replay) as connection:
        counts = tenants.remove(connection, slug)
    for name, count in counts.items():
        console.print(f"{name}: {count:,} rows deleted")
    console.print("Delete its keys at the exchanges, too: backups hold them sealed until they are gone.")


def _draw(rows: list[Tenant]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("tenant", "state", "accounts", "signatures a minute", "since", "invited until"):
        table.add_column(name)
    for one in rows:
        table.add_row(
            one.slug,
            one.state,
            f"{one.accounts} of {one.most_accounts}",
            f"{one.most_signatures_per_minute:,}",
            f"{one.created_at:%Y-%m-%d}",
            "" if one.invited_until is None else f"{one.invited_until:%Y-%m-%d %H:%M}",
        )
    return table
