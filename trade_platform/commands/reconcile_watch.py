"""``reconcile --watch``: the process that compares accounts on a timer, and after every time of blindness."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from typing import Final

import psycopg
import structlog
from redis import RedisError

from trade_platform.adapters import logs
from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.connection import Connection, sentence
from trade_platform.adapters.process import CannotStart, RunFile, die_with_parent, stop_event
from trade_platform.operations.desk import NotStored
from trade_platform.operations.reconcile import Reconciled, reconcile
from trade_platform.operations.reconciling import standing_of
from trade_platform.reconcile_desk import account_desk, chosen_accounts, open_books
from trade_platform.settings import Settings

NAME: Final = "reconcile"
LOOK_SECONDS: Final = 2.0
"""Between two looks at which accounts are due."""
AGAIN_SECONDS: Final = 10.0
"""After a failure of PostgreSQL or Redis."""

log = structlog.get_logger()


async def run(settings: Settings, keys: Sequence[str], every_seconds: float) -> None:
    """Until SIGTERM or Ctrl-C. Raises CannotStart where it could not begin."""
    name = settings.process_name or NAME
    logs.configure(settings.log_level, settings.log_format, name)
    if settings.parent_pid:
        die_with_parent(settings.parent_pid)
    stop = stop_event()
    with RunFile(settings.data_folder, name):
        while not stop.is_set():
            try:
                with closing(open_books(settings, name)) as connection:
                    await watch(settings, connection, keys, every_seconds, stop)
            except (psycopg.Error, RedisError, NotStored) as error:
                log.warning("Accounts cannot be reconciled now; trying again.", error=sentence(error))
                await _pause(stop, AGAIN_SECONDS)


async def watch(
    settings: Settings, connection: Connection, keys: Sequence[str], every_seconds: float, stop: asyncio.Event
) -> None:
    """Over one connection, until stopped. Raises psycopg.Error, RedisError, NotStored."""
    clock = clock_from_text(settings.market_clock)
    while not stop.is_set():
        for account in chosen_accounts(connection, keys):
            if stop.is_set():
                return
            standing = standing_of(connection, account)
            occasion = standing.occasion(clock.market(), every_seconds)
            if occasion:
                _say(await _reconcile(settings, connection, account, occasion))
        await _pause(stop, LOOK_SECONDS)


async def _reconcile(
    settings: Settings, connection: Connection, account: Account, occasion: str
) -> Reconciled | None:
    try:
        async with account_desk(settings, connection, account) as desk:
            return await reconcile(desk, occasion=occasion)
    except CannotStart as error:
        log.warning("An account cannot be reconciled.", account=account.key, error=str(error))
        return None


def _say(done: Reconciled | None) -> None:
    if done is None:
        return
    told = {"account": done.account, "raised": len(done.raised), "healed": done.healed, "open": done.open}
    if done.raised or done.unknown:
        log.warning("The books and the exchange differed.", **told, unknown=[*done.unknown])
    else:
        log.info("The books are the exchange's.", **told, compared=done.compared)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
