"""``python -m trade_platform.vault``: composition root of the process that signs and holds no port."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
import structlog
from prometheus_client import REGISTRY

from trade_platform.adapters import logs
from trade_platform.adapters.database.connection import WrongUrl, libpq_url
from trade_platform.adapters.process import (
    CannotStart,
    Health,
    PortTaken,
    RunFile,
    die_with_parent,
    serve_health,
    stop_event,
)
from trade_platform.adapters.vault_client import socket_of
from trade_platform.settings import Settings, SettingsError, settings_from
from trade_platform.vault.hardening import keep_memory_private
from trade_platform.vault.keeper import NAME, Keeper
from trade_platform.vault.keyring import KeysUnusable
from trade_platform.vault.keys import keys_of
from trade_platform.vault.server import Meters, VaultServer

LOOK_SECONDS: Final = 5.0

log = structlog.get_logger()


class Condition(msgspec.Struct):
    """How it was when last looked."""

    trouble: str = "not looked yet"

    def health(self) -> Health:
        return Health(not self.trouble, self.trouble)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM; 0: graceful stop, 1: it cannot work, 2: wrong usage or settings."""
    argparse.ArgumentParser(
        prog="python -m trade_platform.vault", description="Signs for accounts; nobody else holds a secret."
    ).parse_args(arguments)
    try:
        settings = settings_from()
        url = _database_url(settings)
    except (SettingsError, WrongUrl) as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not there yet
        return 2
    logs.configure(settings.log_level, settings.log_format, settings.process_name or NAME)
    if settings.parent_pid:
        die_with_parent(settings.parent_pid)
    keep_memory_private()
    try:
        keys, said = keys_of(settings.vault_keys, settings.data_folder)
        if said:
            log.warning(said)
        return asyncio.run(_run(settings, Keeper(url, keys)))
    except (CannotStart, KeysUnusable, PortTaken) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def _database_url(settings: Settings) -> str:
    if not settings.database_url:
        raise SettingsError("DATABASE_URL is not set: it names the database that holds the accounts.")
    return libpq_url(settings.database_url)


async def _run(settings: Settings, keeper: Keeper) -> int:
    stop = stop_event()
    condition = Condition()
    path = socket_of(settings.data_folder.absolute())
    async with (
        VaultServer(keeper, path, Meters(REGISTRY)) as vault,
        await serve_health(settings.metrics_port, condition.health, REGISTRY) as server,
    ):
        condition.trouble = await vault.look()
        if condition.trouble:
            raise CannotStart(condition.trouble)
        with RunFile(settings.data_folder, settings.process_name or NAME, metrics=server.url):
            log.info("The vault listens.", socket=str(path), keys=keeper.keys.ring.ids)
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
                condition.trouble = await vault.look()
    log.info("The vault has stopped.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
