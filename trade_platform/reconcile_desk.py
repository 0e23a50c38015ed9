"""Puts together what a reconciliation works with, from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from trade_platform.adapters.account_rest import AccountRest
from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database import roles
from trade_platform.adapters.database.accounts import Account, all_accounts
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.embedded import url_of
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.redis_reader import WrongRedisUrl, connect_redis
from trade_platform.adapters.vault_client import VaultClient, socket_of
from trade_platform.exchanges.session import Exchange
from trade_platform.operations.account_desk import AccountDesk
from trade_platform.repair_desk import open_database
from trade_platform.settings import Settings
from trade_platform.surroundings import rest_client


def open_books(settings: Settings, name: str) -> Connection:
    """A connection that sees private rows of one tenant at a time, and cannot see more.

    Raises CannotStart, SchemaBehind, psycopg.Error.
    """
    connection = open_database(settings, name)
    try:
        step_down(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def step_down(connection: Connection) -> None:
    """Have a connection see one tenant's rows at a time. Raises CannotStart."""
    try:
        roles.become(connection, roles.ACCOUNTS)
    except roles.CannotStepDown as error:
        raise CannotStart(str(error)) from error


def chosen_accounts(connection: Connection, keys: Sequence[str] = ()) -> list[Account]:
    """All that are active, or these. Raises CannotStart where there is no such account."""
    known = all_accounts(connection)
    if not keys:
        return [one for one in known if one.active]
    by_key = {one.key: one for one in known}
    unknown = [key for key in keys if key not in by_key]
    if unknown:
        raise CannotStart(
            f"There is no account {unknown[0]}: `trade-platform account list` says which there are."
        )
    return [by_key[key] for key in keys]


@asynccontextmanager
async def account_desk(
    settings: Settings, connection: Connection, account: Account
) -> AsyncIterator[AccountDesk]:
    """Redis, and the private REST side of the account's exchange, signed by the vault. Raises CannotStart."""
    from trade_platform.exchanges.accounts import ACCOUNT_EXCHANGES  # noqa: PLC0415 - loads every protocol

    clock = clock_from_text(settings.market_clock)
    url = settings.redis_url or url_of(settings.data_folder.absolute() / "redis")
    if not url:
        raise CannotStart("Nothing is running here: start it with `trade-platform up`, or set REDIS_URL.")
    exchange = ACCOUNT_EXCHANGES[account.exchange]
    vault = VaultClient(socket_of(settings.data_folder))
    try:
        bus = connect_redis(url)
    except WrongRedisUrl as error:
        raise CannotStart(str(error)) from error
    # of an exchange, it takes what both of its sides have
    with bus:
        async with rest_client(cast(Exchange, exchange), settings) as rest:
            yield AccountDesk(
                connection,
                bus,
                Owner(account.tenant_id, account.account_id, account.exchange),
                account.key,
                exchange,
                AccountRest(exchange, rest, vault, account.key, clock),
                clock,
            )
