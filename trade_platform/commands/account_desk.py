"""What the verbs of accounts share: the vault's keeper, an exchange's answer, a secret from a person."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

import click
import msgspec

from trade_platform.adapters.clock import clock_from_text
from trade_platform.adapters.database.connection import SchemaBehind
from trade_platform.adapters.database.roles import CannotStepDown
from trade_platform.adapters.embedded import url_of
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.exchanges.account import AccountExchange, KeyFacts, Permissions
from trade_platform.exchanges.limits import Limit
from trade_platform.exchanges.session import Exchange, ProtocolViolation, RestError
from trade_platform.operations.account_permissions import SignText, permissions_of
from trade_platform.settings import Settings
from trade_platform.surroundings import database, rest_client
from trade_platform.vault.hardening import keep_memory_private
from trade_platform.vault.keeper import Keeper, Refused, Unavailable
from trade_platform.vault.keyring import KeysUnusable, UnknownKey
from trade_platform.vault.keys import keys_of
from trade_platform.vault.secret import Secret
from trade_platform.vault.signing import UnusableSecret

MOST_BYTES: Final = 16 * 1024
"""Longer than any key."""

_SENTENCES: Final = (
    CannotStepDown,
    KeysUnusable,
    ProtocolViolation,
    Refused,
    RestError,
    RestUnavailable,
    Unavailable,
    UnknownKey,
    UnusableSecret,
)


class RestSide(msgspec.Struct, frozen=True, kw_only=True):
    """What a client takes of an exchange."""

    key: str
    limits: Sequence[Limit]
    rest_url: str
    error_of: Callable[[int, bytes], RestError | None]


def actor(verb: str) -> str:
    """Who does it, for the audit trail."""
    return f"user {os.getuid()}, trade-platform account {verb}"


@contextmanager
def in_sentences() -> Iterator[None]:
    """What goes wrong is one sentence; raises CannotStart."""
    try:
        yield
    except SchemaBehind as error:
        raise CannotStart(f"{error}.") from error
    except _SENTENCES as error:
        raise CannotStart(str(error)) from None  # what led to it may have had a secret in its hands


@contextmanager
def keeping(settings: Settings) -> Iterator[Keeper]:
    """A keeper of this process's own, whether or not the vault runs. Raises CannotStart, NotHere."""
    keep_memory_private()
    with in_sentences():
        keys, said = keys_of(settings.vault_keys, settings.data_folder)
        if said:
            click.echo(said, err=True)
        with database(settings):  # started for this where it does not run
            url = settings.database_url or url_of(settings.data_folder.absolute() / "postgres")
            with Keeper(url, keys) as keeper:
                yield keeper


def account_exchange(key: str) -> AccountExchange:
    """Raises CannotStart where there is no private side of this exchange."""
    from trade_platform.exchanges.accounts import ACCOUNT_EXCHANGES  # noqa: PLC0415 - loads every protocol

    if key not in ACCOUNT_EXCHANGES:
        raise CannotStart(
            f"There is no private side of {key!r}: the exchanges are {', '.join(sorted(ACCOUNT_EXCHANGES))}."
        )
    return ACCOUNT_EXCHANGES[key]


def ask_permissions(settings: Settings, exchange: str, key: KeyFacts, sign: SignText) -> Permissions:
    """What the exchange says that the key may do. Raises RestError, RestUnavailable, ProtocolViolation."""
    private = account_exchange(exchange)
    asked = RestSide(
        key=private.key,
        limits=private.limits,
        rest_url=private.permissions().rest_url or private.rest_url,
        error_of=private.error_of,
    )

    async def ask() -> Permissions:
        async with rest_client(cast(Exchange, asked), settings) as rest:
            return await permissions_of(private, rest, key, sign, clock_from_text(settings.market_clock))

    return asyncio.run(ask())


def secret_from_person(descriptor: int | None) -> Secret:
    """From an open file, or typed without being seen. Never from an argument: `ps` shows those."""
    if descriptor is not None:
        return _from_descriptor(descriptor)
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked for the secret here: hand it in with --secret-fd.")
    return Secret(click.prompt("Secret (it is not shown)", hide_input=True, err=True))


def _from_descriptor(descriptor: int) -> Secret:
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return Secret(file.read(MOST_BYTES))
    except OSError as error:
        raise click.UsageError(f"--secret-fd {descriptor} cannot be read ({error.strerror}).") from error
