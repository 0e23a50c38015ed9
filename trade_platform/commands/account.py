"""``trade-platform account``: keys of exchanges into the vault, and out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click
import msgspec
from rich.table import Table
from rich.text import Text

from trade_platform.adapters.process import CannotStart
from trade_platform.commands.account_desk import (
    account_exchange,
    actor,
    ask_permissions,
    in_sentences,
    keeping,
    secret_from_person,
)
from trade_platform.commands.console import console, of_replay, settings_of
from trade_platform.exchanges.account import Algorithm, KeyFacts, Permissions
from trade_platform.exchanges.registry import EXCHANGES
from trade_platform.exchanges.session import RestError
from trade_platform.operations.account_permissions import Judgement, judge
from trade_platform.settings import Settings
from trade_platform.vault.enrolment import (
    Enrolment,
    broken_chains,
    check_room,
    enrol,
    note_permissions,
    replace,
    revoke,
    rewrap_all,
    used_keys,
)
from trade_platform.vault.keeper import Keeper
from trade_platform.vault.signing import generate, public_half, secret_from

Command = TypeVar("Command", bound=Callable[..., None])


def _of_key(command: Command) -> Command:
    """How a key is handed in; never as an argument, which `ps` would show."""
    options = (
        click.option("--key-id", default="", help="The exchange's name of the key; asked for when left out."),
        click.option(
            "--ed25519",
            is_flag=True,
            help="The secret is an Ed25519 private key: PEM, or 32 bytes in base64.",
        ),
        click.option(
            "--secret-fd", type=int, help="Open file to read the secret from, 0 for standard input."
        ),
        click.option(
            "--generate", "generated", is_flag=True, help="Make an Ed25519 pair; its secret half stays here."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def account() -> None:
    """Accounts on exchanges, whose keys may only read."""


@account.command()
@click.argument("key")
@click.option("--exchange", required=True, type=click.Choice(sorted(EXCHANGES)))
@click.option("--testnet", is_flag=True, help="An account of the exchange's test network.")
@_of_key
@of_replay
def add(
    *,
    key: str,
    exchange: str,
    testnet: bool,
    key_id: str,
    ed25519: bool,
    secret_fd: int | None,
    generated: bool,
    replay: bool,
) -> None:
    """Take a key, named tenant.name (operator.main), once its exchange says that it cannot withdraw."""
    settings = settings_of(replay=replay)
    account_exchange(exchange)
    with keeping(settings) as keeper:
        check_room(keeper, key)
        given = _given(key_id, secret_fd, ed25519=ed25519, generated=generated)
        enrolment = _checked(settings, exchange, given, testnet=testnet)
        enrol(keeper, key, exchange, enrolment, actor=actor("add"), testnet=testnet)
        enrolment.secret.forget()
    console.print(f"{key} is in the vault.", soft_wrap=True)


@account.command()
@click.argument("key", required=False)
@_of_key
@click.option(
    "--key-encryption", is_flag=True, help="Wrap all credentials with the newest key-encryption key."
)
@of_replay
def rotate(
    *,
    key: str | None,
    key_id: str,
    ed25519: bool,
    secret_fd: int | None,
    generated: bool,
    key_encryption: bool,
    replay: bool,
) -> None:
    """Replace an account's key by a new one; the old one's secret is destroyed here."""
    settings = settings_of(replay=replay)
    if key_encryption == (key is not None):
        raise click.UsageError("Name an account, or say --key-encryption for all of them.")
    with keeping(settings) as keeper:
        if key is None:
            _rewrap(keeper)
            return
        told = keeper.describe(key)
        given = _given(key_id, secret_fd, ed25519=ed25519, generated=generated)
        enrolment = _checked(settings, told.exchange, given, testnet=told.testnet)
        replace(keeper, key, enrolment, actor=actor("rotate"))
        enrolment.secret.forget()
    console.print(
        f"{key} signs with the new key. Delete the old one ({told.key_id}) at the exchange.", soft_wrap=True
    )


@account.command(name="revoke")
@click.argument("key")
@of_replay
def revoke_(*, key: str, replay: bool) -> None:
    """End an account: it signs no more, and its secret is destroyed. Its past stays."""
    with keeping(settings_of(replay=replay)) as keeper:
        told = keeper.describe(key)
        revoke(keeper, key, actor=actor("revoke"))
    console.print(
        f"{key} is revoked. Delete its key ({told.key_id}) at the exchange, too: backups may hold it."
    )


@account.command(name="list")
@of_replay
@click.option("--json", "as_json", is_flag=True)
def list_(*, replay: bool, as_json: bool) -> None:
    """All accounts that can sign."""
    with keeping(settings_of(replay=replay)) as keeper:
        told = keeper.accounts()
    if as_json:
        click.echo(msgspec.json.encode(told))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("account", "exchange", "key", "signs by", ""):
        table.add_column(name)
    for one in told:
        table.add_row(one.account, one.exchange, one.key_id, one.algorithm, "test" if one.testnet else "")
    console.print(table if told else "There is no account: `trade-platform account add` takes one.")


@account.command()
@click.argument("key", required=False)
@of_replay
def check(*, key: str | None, replay: bool) -> None:
    """Ask the exchanges what the keys may do now; prove the audit trail. Exit code 1: one is not good."""
    settings = settings_of(replay=replay)
    good = True
    with keeping(settings) as keeper:
        for told in keeper.accounts():
            if key in (None, told.account):
                good = _check(settings, keeper, told.account) and good
        for tenant, row in broken_chains(keeper):
            good = False
            console.print(
                Text(f"The audit trail of tenant {tenant} is broken at row {row}.", style="red bold"),
                soft_wrap=True,
            )
    sys.exit(0 if good else 1)


def _given(key_id: str, secret_fd: int | None, *, ed25519: bool, generated: bool) -> Enrolment:
    """The key, as a person hands it in."""
    if generated and secret_fd is not None:
        raise click.UsageError(
            "Say --generate or --secret-fd: the secret is made here, or it comes from you."
        )
    algorithm = Algorithm.ED25519 if ed25519 or generated else Algorithm.HMAC_SHA256
    if generated:
        secret = generate()
        click.echo("Give the exchange this public key, for a key that may only read:", err=True)
        click.echo(public_half(secret))
        key_id = key_id or click.prompt("Key id that the exchange shows then", err=True)
    else:
        key_id = key_id or click.prompt("Key id", err=True)
        with secret_from_person(secret_fd) as given:
            secret = secret_from(algorithm, given)
    return Enrolment(key_id=key_id.strip(), algorithm=algorithm, secret=secret)


def _checked(settings: Settings, exchange: str, enrolment: Enrolment, *, testnet: bool) -> Enrolment:
    """With what the exchange says that it may do. Raises CannotStart where it may too much."""

    async def sign(text: str) -> str:
        return enrolment.sign(text)

    facts = KeyFacts(key_id=enrolment.key_id, algorithm=enrolment.algorithm)
    try:
        permissions = ask_permissions(settings, exchange, facts, sign)
    except RestError as error:
        if not testnet:
            raise
        click.echo(f"Warning: The test network does not say what this key may do ({error}).", err=True)
        return enrolment
    judgement = judge(permissions)
    if judgement.refusal:
        enrolment.secret.forget()
        raise CannotStart(f"{judgement.refusal} Nothing was stored.")
    _warn(judgement)
    return msgspec.structs.replace(enrolment, permissions=permissions)


def _check(settings: Settings, keeper: Keeper, key: str) -> bool:
    told = keeper.describe(key)

    async def sign(text: str) -> str:
        return keeper.sign(key, "permissions", text, actor("check"))

    try:
        with in_sentences():
            facts = KeyFacts(key_id=told.key_id, algorithm=told.algorithm)
            permissions = ask_permissions(settings, told.exchange, facts, sign)
    except CannotStart as error:
        console.print(Text.assemble((f"✗ {key}: ", "red bold"), str(error)), soft_wrap=True)
        return False
    note_permissions(keeper, key, permissions)
    judgement = judge(permissions)
    if judgement.refusal:
        console.print(Text.assemble((f"✗ {key}: ", "red bold"), judgement.refusal), soft_wrap=True)
        return False
    console.print(Text.assemble((f"✓ {key}", "green"), f": {_words(permissions)}"), soft_wrap=True)
    _warn(judgement)
    return True


def _rewrap(keeper: Keeper) -> None:
    done = rewrap_all(keeper)
    newest, used = keeper.keys.ring.newest, used_keys(keeper)
    console.print(f"{done} credentials were wrapped again; all are below the key {newest}.", soft_wrap=True)
    for kek_id in keeper.keys.ring.ids:
        if kek_id not in used and kek_id != newest:
            console.print(
                f"The key {kek_id} opens none any more, backups apart: keep it with them.", soft_wrap=True
            )


def _warn(judgement: Judgement) -> None:
    for warning in judgement.warnings:
        click.echo(f"Warning: {warning}", err=True)


def _words(permissions: Permissions) -> str:
    told = {
        "reads": permissions.read,
        "trades": permissions.trade,
        "bound to an address": permissions.ip_restricted,
    }
    words = [word for word, true in told.items() if true]
    return ", ".join([*words, "cannot withdraw" if permissions.withdraw is False else "withdrawal unknown"])
