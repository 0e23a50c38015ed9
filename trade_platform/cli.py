"""``trade-platform …``: the use-cases for a terminal.

Exit codes: 0 done and good, 1 done and something is wrong, 2 used wrongly or not possible.
"""

from __future__ import annotations

import logging
import sys

import click
import psycopg
import redis
import structlog

from trade_platform.adapters.dagster_home import NoDagsterHome
from trade_platform.adapters.database import migrate
from trade_platform.adapters.database.dagster_storage import NoDagsterStorage
from trade_platform.adapters.embedded import EmbeddedError
from trade_platform.adapters.ledger import LedgerUnreadable
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.adapters.selection_file import UnusableSelection
from trade_platform.commands.account import account
from trade_platform.commands.backfill import backfill
from trade_platform.commands.candles import candles
from trade_platform.commands.doctor import doctor
from trade_platform.commands.down import down
from trade_platform.commands.gaps import gaps
from trade_platform.commands.instruments import instruments
from trade_platform.commands.maintain import maintain
from trade_platform.commands.outages import outage_words
from trade_platform.commands.reconcile import reconcile_accounts
from trade_platform.commands.simulate import simulate
from trade_platform.commands.statement import account_statement
from trade_platform.commands.status import status, verify
from trade_platform.commands.tenant import tenant
from trade_platform.commands.up import up
from trade_platform.commands.upgrade import upgrade
from trade_platform.exchanges.session import RestError
from trade_platform.operations.capture import CaptureUnusable
from trade_platform.operations.up import UpError
from trade_platform.operations.upgrade import UpgradeImpossible
from trade_platform.settings import SettingsError, settings_from
from trade_platform.surroundings import NotHere

VERBS = (
    up,
    status,
    verify,
    gaps,
    backfill,
    instruments,
    candles,
    doctor,
    simulate,
    account,
    reconcile_accounts,
    account_statement,
    tenant,
    maintain,
    upgrade,
    down,
)

_SENTENCES = (
    CannotStart,
    CaptureUnusable,
    EmbeddedError,
    LedgerUnreadable,
    NoDagsterHome,
    NoDagsterStorage,
    NotHere,
    RestError,
    RestUnavailable,
    SettingsError,
    UnusableSelection,
    UpError,
    UpgradeImpossible,
    migrate.MigrationFailed,
    psycopg.OperationalError,
    psycopg.errors.UndefinedTable,
    redis.RedisError,
)
"""Errors whose text is a sentence for a person."""


def main() -> None:
    """Entry point of the program: whatever is wrong becomes one sentence."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except _SENTENCES as error:
        click.echo(f"trade-platform: {_sentence(error)}", err=True)
        sys.exit(2)
    except psycopg.ProgrammingError as error:
        if error.sqlstate:  # the server's answer to a statement of ours: a fault of the program
            raise
        click.echo(f"trade-platform: {_sentence(error)}", err=True)
        sys.exit(2)


def _sentence(error: Exception) -> str:
    if isinstance(error, psycopg.Error | redis.RedisError):
        settings = settings_from()
        return outage_words(error, settings.database_url, settings.redis_url)
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return first


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trade-platform")
def cli() -> None:
    """Records exchanges completely, proves it, and looks after itself."""


for verb in VERBS:
    cli.add_command(verb)


if __name__ == "__main__":
    main()
