"""Accounts and sealed credentials in PostgreSQL, as the vault's role sees them.

Accounts are found by name; everything else is read and written as the one tenant whose it is.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.exchanges.account import Algorithm, Permissions
from trade_platform.vault.envelope import Context, Sealed

_ACCOUNTS: Final = """
SELECT a.account_id, a.tenant_id::text, t.slug, a.key, a.exchange, a.testnet, a.state = 'active',
       t.state = 'active', t.most_signatures_per_minute
FROM account a JOIN tenant t USING (tenant_id)
WHERE %(key)s::text IS NULL OR a.key = %(key)s
ORDER BY a.key
"""
_TENANT: Final = "SELECT tenant_id::text, slug, state, most_accounts FROM tenant WHERE slug = %s"
_TENANTS: Final = "SELECT tenant_id::text FROM tenant ORDER BY slug"
_COUNT: Final = "SELECT count(*) FROM account WHERE tenant_id = %s::uuid AND state = 'active'"
_CREDENTIAL: Final = """
SELECT credential_id::text, account_id, key_id, algorithm, version, kek_id, wrapped_key, sealed_secret
FROM credential WHERE tenant_id = %s::uuid AND account_id = %s AND state = 'active'
"""
_NEW_ACCOUNT: Final = """
INSERT INTO account (tenant_id, key, exchange, name, testnet) VALUES (%s, %s, %s, %s, %s)
RETURNING account_id
"""
_NEW_CREDENTIAL: Final = """
INSERT INTO credential (tenant_id, credential_id, account_id, key_id, algorithm, version, public_key,
                        permissions, checked_at, kek_id, wrapped_key, sealed_secret)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s::jsonb IS NULL THEN NULL ELSE now() END, %s, %s, %s)
"""
_LAST_VERSION: Final = """
SELECT coalesce(max(version), 0) FROM credential WHERE tenant_id = %s::uuid AND account_id = %s
"""
_END_CREDENTIALS: Final = """
UPDATE credential SET state = 'revoked', ended_at = now(), wrapped_key = '', sealed_secret = ''
WHERE tenant_id = %s::uuid AND account_id = %s AND state = 'active'
"""
_ACCOUNT_STATE: Final = "UPDATE account SET state = %s WHERE tenant_id = %s::uuid AND account_id = %s"
_CHECKED: Final = """
UPDATE credential SET permissions = %s, checked_at = now() WHERE tenant_id = %s::uuid AND credential_id = %s
"""
_OTHERWISE_WRAPPED: Final = """
SELECT credential_id::text, account_id, key_id, algorithm, version, kek_id, wrapped_key, sealed_secret
FROM credential WHERE tenant_id = %s::uuid AND state = 'active' AND kek_id <> %s
ORDER BY credential_id LIMIT %s FOR UPDATE
"""
_REWRAP: Final = """
UPDATE credential SET kek_id = %s, wrapped_key = %s WHERE tenant_id = %s::uuid AND credential_id = %s
"""
_USED: Final = (
    "SELECT kek_id, count(*) FROM credential WHERE state = 'active' GROUP BY kek_id ORDER BY kek_id"
)


class Holder(msgspec.Struct, frozen=True):
    """An account, and what its tenant may."""

    account_id: int
    tenant: str
    slug: str
    key: str
    exchange: str
    testnet: bool
    active: bool
    tenant_active: bool
    most_signatures_per_minute: int


class TenantRow(msgspec.Struct, frozen=True):
    tenant: str
    slug: str
    state: str
    most_accounts: int


class Credential(msgspec.Struct, frozen=True):
    """One sealed secret, and what may be known of it."""

    credential: str
    account_id: int
    key_id: str
    algorithm: Algorithm
    version: int
    sealed: Sealed

    def context(self, tenant: str) -> Context:
        return Context(tenant=tenant, credential=self.credential, version=self.version)


def holder_of(connection: Connection, key: str) -> Holder | None:
    """The account of this key, whosever it is."""
    return next(iter(_holders(connection, key)), None)


def holders(connection: Connection) -> list[Holder]:
    """All accounts, by key."""
    return _holders(connection, None)


def _holders(connection: Connection, key: str | None) -> list[Holder]:
    return [Holder(*row) for row in connection.execute(_ACCOUNTS, {"key": key}).fetchall()]


def tenant_of(connection: Connection, slug: str) -> TenantRow | None:
    """By its short name."""
    row = connection.execute(_TENANT, (slug,)).fetchone()
    return None if row is None else TenantRow(*row)


def tenants(connection: Connection) -> list[str]:
    """The ids of all."""
    return [row[0] for row in connection.execute(_TENANTS).fetchall()]


def active_accounts(connection: Connection, tenant: str) -> int:
    """How many the tenant has."""
    row = connection.execute(_COUNT, (tenant,)).fetchone()
    return row[0] if row else 0


def active_credential(connection: Connection, tenant: str, account_id: int) -> Credential | None:
    """Inside a transaction of the tenant."""
    row = connection.execute(_CREDENTIAL, (tenant, account_id)).fetchone()
    return None if row is None else _credential(row)


def insert_account(
    connection: Connection, *, tenant: str, key: str, exchange: str, name: str, testnet: bool
) -> int:
    """Its id. Raises psycopg.errors.UniqueViolation where the key is taken."""
    row = connection.execute(_NEW_ACCOUNT, (tenant, key, exchange, name, testnet)).fetchone()
    assert row is not None, "RETURNING answers a row"
    account_id: int = row[0]
    return account_id


def next_version(connection: Connection, tenant: str, account_id: int) -> int:
    """Of the account's next credential."""
    row = connection.execute(_LAST_VERSION, (tenant, account_id)).fetchone()
    return (row[0] if row else 0) + 1


def insert_credential(
    connection: Connection,
    tenant: str,
    credential: Credential,
    public_key: str | None,
    permissions: Permissions | None,
) -> None:
    """Inside a transaction of the tenant."""
    told = _json(permissions)
    sealed = credential.sealed
    connection.execute(
        _NEW_CREDENTIAL,
        (
            tenant, credential.credential, credential.account_id, credential.key_id,
            credential.algorithm.value, credential.version, public_key, told, told,
            sealed.kek_id, sealed.wrapped_key, sealed.sealed_secret,
        ),
    )  # fmt: skip


def end_credentials(connection: Connection, tenant: str, account_id: int) -> int:
    """Revoke what the account has and destroy the ciphertext; how many there were."""
    return connection.execute(_END_CREDENTIALS, (tenant, account_id)).rowcount


def set_account_state(connection: Connection, tenant: str, account_id: int, state: str) -> None:
    """``active`` or ``revoked``."""
    connection.execute(_ACCOUNT_STATE, (state, tenant, account_id))


def note_permissions(connection: Connection, tenant: str, credential: str, permissions: Permissions) -> None:
    """What the exchange said that the key may do, and when it was asked."""
    connection.execute(_CHECKED, (_json(permissions), tenant, credential))


def otherwise_wrapped(connection: Connection, tenant: str, kek_id: str, most: int) -> list[Credential]:
    """Active credentials below another key-encryption key than this, locked until the transaction ends."""
    rows = connection.execute(_OTHERWISE_WRAPPED, (tenant, kek_id, most)).fetchall()
    return [_credential(row) for row in rows]


def store_rewrapped(connection: Connection, tenant: str, credential: str, sealed: Sealed) -> None:
    """The new wrapping; the sealed secret stays as it is."""
    connection.execute(_REWRAP, (sealed.kek_id, sealed.wrapped_key, tenant, credential))


def used_keys(connection: Connection) -> dict[str, int]:
    """How many active credentials of the transaction's tenant are below each key-encryption key."""
    return dict(connection.execute(_USED).fetchall())


def _credential(row: tuple[str, int, str, str, int, str, bytes, bytes]) -> Credential:
    credential, account_id, key_id, algorithm, version, kek_id, wrapped, sealed = row
    return Credential(
        credential,
        account_id,
        key_id,
        Algorithm(algorithm),
        version,
        Sealed(kek_id=kek_id, wrapped_key=wrapped, sealed_secret=sealed),
    )


def _json(permissions: Permissions | None) -> str | None:
    return None if permissions is None else msgspec.json.encode(permissions).decode()
