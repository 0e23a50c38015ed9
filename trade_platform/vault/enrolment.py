"""Putting secrets into the vault, replacing them, and taking them away; each step is in the audit trail."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

import msgspec
import psycopg

from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.slots import SECOND
from trade_platform.exchanges.account import Algorithm, Permissions
from trade_platform.vault import audit, store
from trade_platform.vault.envelope import CannotOpen, Context, Sealed, rewrap, seal
from trade_platform.vault.keeper import Keeper, Refused
from trade_platform.vault.secret import Secret
from trade_platform.vault.signing import public_raw, sign
from trade_platform.vault.store import Credential, Holder

KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}\.[a-z0-9][a-z0-9-]{0,30}")
BATCH: Final = 200


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an exchange, on its way into the vault."""

    key_id: str
    """The exchange's name of it."""
    algorithm: Algorithm
    secret: Secret
    """As ``signing.secret_from`` gives it."""
    permissions: Permissions | None = None
    """None: the exchange was not asked."""

    def sign(self, text: str) -> str:
        """Before it is kept: to ask the exchange what the key may do."""
        return sign(self.algorithm, self.secret, text)


def check_key(account: str) -> tuple[str, str]:
    """(tenant, name) of an account's key. Raises Refused."""
    if not KEY.fullmatch(account):
        raise Refused(
            f"{account!r} is no account's key: take tenant.name in lower-case letters, digits and -, "
            "operator.main for example."
        )
    if account.endswith(SECOND):
        raise Refused(f"{account!r} ends with {SECOND}, which names the second slot of a lane: take another.")
    tenant, _, name = account.partition(".")
    return tenant, name


def check_room(keeper: Keeper, account: str) -> None:
    """May this account be added? Before anybody is asked for a secret. Raises Refused."""
    tenant, _ = check_key(account)
    with keeper.answering():
        _room(keeper, tenant, account)


def enrol(
    keeper: Keeper, account: str, exchange: str, enrolment: Enrolment, *, actor: str, testnet: bool = False
) -> None:
    """A new account with its first credential; a revoked one comes back. Raises Refused, Unavailable."""
    slug, name = check_key(account)
    with keeper.answering():
        tenant, known = _room(keeper, slug, account)
        try:
            with keeper.of_tenant(tenant) as connection:
                account_id = known.account_id if known else store.insert_account(
                    connection, tenant=tenant, key=account, exchange=exchange, name=name, testnet=testnet
                )  # fmt: skip
                if known and (known.exchange, known.testnet) != (exchange, testnet):
                    raise Refused(f"{account} was an account of {known.exchange}: choose another name.")
                store.set_account_state(connection, tenant, account_id, "active")
                _keep(keeper, connection, tenant, account_id, enrolment)
                _note(keeper, connection, tenant, account_id, actor, "account added")
        except psycopg.errors.UniqueViolation as error:
            raise Refused(f"There is an account {account} already.") from error


def replace(keeper: Keeper, account: str, enrolment: Enrolment, *, actor: str) -> None:
    """A new credential; the old one's ciphertext is destroyed in the same transaction. Raises Refused."""
    with keeper.answering():
        holder = keeper.holder(account)
        with keeper.of_tenant(holder.tenant) as connection:
            store.end_credentials(connection, holder.tenant, holder.account_id)
            _keep(keeper, connection, holder.tenant, holder.account_id, enrolment)
            _note(keeper, connection, holder.tenant, holder.account_id, actor, "credential replaced")


def revoke(keeper: Keeper, account: str, *, actor: str) -> None:
    """The account can sign no more, and its ciphertext is destroyed. Raises Refused, Unavailable."""
    with keeper.answering():
        holder = keeper.holder(account)
        with keeper.of_tenant(holder.tenant) as connection:
            store.end_credentials(connection, holder.tenant, holder.account_id)
            store.set_account_state(connection, holder.tenant, holder.account_id, "revoked")
            _note(keeper, connection, holder.tenant, holder.account_id, actor, "account revoked")


def note_permissions(keeper: Keeper, account: str, permissions: Permissions) -> None:
    """What the exchange says of the account's key now. Raises Refused, Unavailable."""
    with keeper.answering():
        holder = keeper.holder(account)
        with keeper.of_tenant(holder.tenant) as connection:
            credential = store.active_credential(connection, holder.tenant, holder.account_id)
            if credential is not None:
                store.note_permissions(connection, holder.tenant, credential.credential, permissions)


def rewrap_all(keeper: Keeper) -> int:
    """Put every credential below the newest key-encryption key; how many were not. Raises Refused.

    In small transactions, while the vault runs: both keys open until the old file is taken away.
    """
    with keeper.answering():
        return sum(_rewrap(keeper, tenant) for tenant in store.tenants(keeper.connection))


def used_keys(keeper: Keeper) -> dict[str, int]:
    """How many credentials are below each key-encryption key: a key of none may be taken away."""
    with keeper.answering():
        counts: dict[str, int] = {}
        for tenant in store.tenants(keeper.connection):
            with keeper.of_tenant(tenant) as connection:
                for kek_id, count in store.used_keys(connection).items():
                    counts[kek_id] = counts.get(kek_id, 0) + count
        return counts


def broken_chains(keeper: Keeper) -> list[tuple[str, int]]:
    """(tenant's id, number of the first wrong row) of each audit trail that does not hold."""
    with keeper.answering():
        found = []
        for tenant in store.tenants(keeper.connection):
            with keeper.of_tenant(tenant) as connection:
                broken = audit.broken_at(connection, tenant)
            found += [] if broken is None else [(tenant, broken)]
        return found


def _rewrap(keeper: Keeper, tenant: str) -> int:
    newest, done = keeper.keys.ring.newest, 0
    while True:
        with keeper.of_tenant(tenant) as connection:
            batch = store.otherwise_wrapped(connection, tenant, newest, BATCH)
            for credential in batch:
                store.store_rewrapped(
                    connection, tenant, credential.credential, _again(keeper, tenant, credential)
                )
        done += len(batch)
        if len(batch) < BATCH:
            return done


def _again(keeper: Keeper, tenant: str, credential: Credential) -> Sealed:
    try:
        return rewrap(credential.sealed, credential.context(tenant), keeper.keys.ring)
    except CannotOpen as error:
        raise Refused(f"The credential {credential.credential} cannot be wrapped again: {error}") from error


def _room(keeper: Keeper, slug: str, account: str) -> tuple[str, Holder | None]:
    """(tenant's id, the account as it was before it was revoked)."""
    tenant = store.tenant_of(keeper.connection, slug)
    if tenant is None:
        raise Refused(f"There is no tenant {slug!r}: run `trade-platform tenant invite {slug}` first.")
    if tenant.state != "active":
        raise Refused(f"The tenant {slug} is {tenant.state}: it has to accept its invitation first.")
    known = store.holder_of(keeper.connection, account)
    if known is not None and known.active:
        raise Refused(
            f"There is an account {account} already: `trade-platform account rotate {account}` "
            "replaces its key."
        )
    with keeper.of_tenant(tenant.tenant) as connection:
        held = store.active_accounts(connection, tenant.tenant)
    if held >= tenant.most_accounts:
        raise Refused(f"The tenant {slug} has {held} accounts, which is its quota: revoke one, or raise it.")
    return tenant.tenant, known


def _keep(keeper: Keeper, connection: Connection, tenant: str, account_id: int, enrolment: Enrolment) -> None:
    credential, version = str(uuid4()), store.next_version(connection, tenant, account_id)
    context = Context(tenant=tenant, credential=credential, version=version)
    sealed = seal(enrolment.secret, context, keeper.keys.ring)
    asymmetric = enrolment.algorithm is Algorithm.ED25519
    store.insert_credential(
        connection,
        tenant,
        Credential(credential, account_id, enrolment.key_id, enrolment.algorithm, version, sealed),
        public_raw(enrolment.secret) if asymmetric else None,
        enrolment.permissions,
    )


def _note(
    keeper: Keeper, connection: Connection, tenant: str, account_id: int, actor: str, what: str
) -> None:
    access = audit.Access(
        tenant=tenant, account_id=account_id, credential=None, actor=actor, purpose=what, outcome="done"
    )
    audit.append(connection, access, keeper.clock())
