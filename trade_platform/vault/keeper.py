"""What the vault does: describe accounts and sign for them, each use written down before it is handed out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import msgspec
import psycopg

from trade_platform.adapters.database import roles
from trade_platform.adapters.database.connection import (
    Connection,
    SchemaBehind,
    connect,
    passes_by_itself,
    sentence,
)
from trade_platform.adapters.database.revision import COMMAND, check_revision
from trade_platform.adapters.vault_client import Told
from trade_platform.vault import audit, store
from trade_platform.vault.envelope import CannotOpen, unseal
from trade_platform.vault.forbidden import forbidden
from trade_platform.vault.keyring import KeysUnusable, UnknownKey
from trade_platform.vault.keys import Keys
from trade_platform.vault.quota import Quota
from trade_platform.vault.secret import Secret
from trade_platform.vault.signing import sign
from trade_platform.vault.store import Credential, Holder

NAME = "vault"
"""Of the process and of its database connections."""


class Refused(Exception):
    """The vault will not do it; the sentence says why, and what to do."""


class Unavailable(Exception):
    """The vault's database does not answer; it may later."""


class Keeper:
    """One connection as the vault's role, and the keys; used by one thread at a time."""

    def __init__(
        self,
        database_url: str,
        keys: Keys,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys = keys
        self.clock = clock
        self._url = database_url
        self._connection: Connection | None = None
        self._quota = Quota(monotonic)

    @property
    def connection(self) -> Connection:
        """Opened when needed, as the vault's role; raises CannotStepDown, SchemaBehind, psycopg.Error."""
        if self._connection is None:
            connection = connect(self._url, name=NAME)
            try:
                roles.become(connection, roles.VAULT)
                _check_schema(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Repeatable; the next question opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What passes by itself becomes Unavailable, and the connection is opened anew."""
        try:
            yield
        except psycopg.Error as error:
            if not passes_by_itself(error):
                raise
            self.close()
            raise Unavailable(
                f"The vault's database does not answer ({sentence(error)}): ask again later."
            ) from error

    @contextmanager
    def of_tenant(self, tenant: str) -> Iterator[Connection]:
        """A transaction that sees the rows of one tenant."""
        with self.connection.transaction():
            roles.tenant(self.connection, tenant)
            yield self.connection

    def look(self) -> None:
        """Does everything that a signature needs stand? Raises Unavailable."""
        with self.answering():
            self.connection.execute("SELECT 1")

    def describe(self, key: str) -> Told:
        """Raises Refused, Unavailable."""
        with self.answering():
            holder = self.holder(key)
            with self.of_tenant(holder.tenant) as connection:
                return _told(holder, _active(connection, holder))

    def accounts(self) -> list[Told]:
        """All that can sign, by key. Raises Unavailable."""
        with self.answering():
            told = []
            for holder in store.holders(self.connection):
                if holder.active and holder.tenant_active:
                    with self.of_tenant(holder.tenant) as connection:
                        credential = store.active_credential(connection, holder.tenant, holder.account_id)
                    told += [] if credential is None else [_told(holder, credential)]
            return told

    def sign(self, key: str, purpose: str, text: str, actor: str) -> str:
        """The signature, once it is written down who has it. Raises Refused, Unavailable."""
        with self.answering():
            holder = store.holder_of(self.connection, key)
            if holder is None:
                raise Refused(_unknown(key))
            try:
                return self._sign(holder, purpose, text, actor)
            except Refused as refusal:
                with self.of_tenant(holder.tenant) as connection:
                    refused = _access(holder, actor, purpose, f"refused: {refusal}")
                    audit.append(connection, refused, self.clock())
                raise

    def holder(self, key: str) -> Holder:
        """The account, which is in use. Raises Refused."""
        holder = store.holder_of(self.connection, key)
        if holder is None:
            raise Refused(_unknown(key))
        _check_in_use(holder)
        return holder

    def unsealed(self, holder: Holder, credential: Credential) -> Secret:
        """The secret, opened; to be forgotten at once. Raises CannotOpen, UnknownKey, KeysUnusable."""
        context = credential.context(holder.tenant)
        try:
            return unseal(credential.sealed, context, self.keys.ring)
        except UnknownKey:  # a key may have come since: rotation needs no restart
            self.keys.reload()
            return unseal(credential.sealed, context, self.keys.ring)

    def _sign(self, holder: Holder, purpose: str, text: str, actor: str) -> str:
        """In one transaction with its row of the trail: without the row there is no signature."""
        _check_in_use(holder)
        if wrong := forbidden(text):
            raise Refused(f"The vault does not sign {wrong}: this platform never trades or moves money.")
        if not self._quota.take(holder.tenant, holder.most_signatures_per_minute):
            raise Refused(
                f"The tenant of {holder.key} has used its {holder.most_signatures_per_minute} signatures of "
                "this minute: wait, or raise its quota."
            )
        with self.of_tenant(holder.tenant) as connection:
            credential = _active(connection, holder)
            try:
                with self.unsealed(holder, credential) as secret:
                    signature = sign(credential.algorithm, secret, text)
            except (CannotOpen, UnknownKey, KeysUnusable) as error:
                raise Refused(f"The credential of {holder.key} cannot be used: {error}") from error
            access = _access(holder, actor, purpose, audit.SIGNED)
            access = msgspec.structs.replace(
                access, credential=credential.credential, digest=audit.digest_of(text)
            )
            audit.append(connection, access, self.clock())
        return signature


def _active(connection: Connection, holder: Holder) -> Credential:
    """Raises Refused."""
    credential = store.active_credential(connection, holder.tenant, holder.account_id)
    if credential is None:
        raise Refused(
            f"The account {holder.key} has no credential: run `trade-platform account rotate {holder.key}`."
        )
    return credential


def _check_in_use(holder: Holder) -> None:
    """Raises Refused."""
    if not holder.active:
        raise Refused(
            f"The account {holder.key} was revoked: add it again with `trade-platform account add`."
        )
    if not holder.tenant_active:
        raise Refused(
            f"The tenant of {holder.key} is not active: its invitation is open, or it is suspended."
        )


def _access(holder: Holder, actor: str, purpose: str, outcome: str) -> audit.Access:
    return audit.Access(
        tenant=holder.tenant,
        account_id=holder.account_id,
        credential=None,
        actor=actor,
        purpose=purpose,
        outcome=outcome,
    )


def _check_schema(connection: Connection) -> None:
    try:
        check_revision(connection)
    except psycopg.errors.InsufficientPrivilege as error:  # from before there were accounts
        raise SchemaBehind(
            f"the database is older than accounts are: run `{COMMAND}` with DATABASE_URL"
        ) from error


def _unknown(key: str) -> str:
    return f"There is no account {key!r}: `trade-platform account list` shows those there are."


def _told(holder: Holder, credential: Credential) -> Told:
    return Told(
        account=holder.key,
        tenant=holder.tenant,
        exchange=holder.exchange,
        key_id=credential.key_id,
        algorithm=credential.algorithm,
        testnet=holder.testnet,
    )
