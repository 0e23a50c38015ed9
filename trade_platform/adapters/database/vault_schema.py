"""The private tables of tenants, accounts and their sealed credentials; row-level security is in migration 5.

Every private table has ``tenant_id``; tables of an account refer to ``account`` by (tenant_id, account_id),
so that no row can belong to one tenant and name the account of another.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from trade_platform.adapters.database.schema import metadata

__all__ = ["account", "credential", "invitation", "secret_access", "tenant"]


def _word(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=default)


def _moment(name: str, *, nullable: bool = False, stamped: bool = False) -> Column[object]:
    default = text("now()") if stamped else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


def _quota(name: str, default: int) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _tenant_id() -> Column[object]:
    return Column("tenant_id", UUID, nullable=False)


def _of_tenant(ondelete: str | None = None) -> Column[object]:
    return Column("tenant_id", UUID, ForeignKey("tenant.tenant_id", ondelete=ondelete), nullable=False)


_NAME: Final = "~ '^[a-z0-9][a-z0-9-]{0,30}$'"

tenant: Final = Table(
    "tenant",
    metadata,
    Column("tenant_id", UUID, primary_key=True, server_default=text("gen_random_uuid()")),
    _word("slug"),
    _word("state", default="invited"),
    _quota("most_accounts", 5),
    _quota("most_signatures_per_minute", 600),
    _moment("created_at", stamped=True),
    UniqueConstraint("slug", name="tenant_slug_key"),
    CheckConstraint(f"slug {_NAME}", name="tenant_slug_check"),
    CheckConstraint("state IN ('invited', 'active', 'suspended')", name="tenant_state_check"),
    CheckConstraint("most_accounts >= 0 AND most_signatures_per_minute >= 0", name="tenant_quota_check"),
)

account: Final = Table(
    "account",
    metadata,
    Column("account_id", Integer, Identity(), primary_key=True),
    _of_tenant(),
    _word("key"),
    _word("exchange"),
    _word("name"),
    Column("testnet", Boolean, nullable=False, server_default=text("false")),
    _word("state", default="active"),
    _moment("created_at", stamped=True),
    UniqueConstraint("key", name="account_key_key"),
    UniqueConstraint("tenant_id", "account_id", name="account_tenant_id_account_id_key"),
    CheckConstraint(f"name {_NAME}", name="account_name_check"),
    CheckConstraint("state IN ('active', 'revoked')", name="account_state_check"),
)

credential: Final = Table(
    "credential",
    metadata,
    _tenant_id(),
    Column("credential_id", UUID, nullable=False),
    Column("account_id", Integer, nullable=False),
    _word("key_id"),
    _word("algorithm"),
    Column("version", Integer, nullable=False),
    _word("state", default="active"),
    _word("public_key", nullable=True),
    Column("permissions", JSONB),
    _moment("checked_at", nullable=True),
    _moment("created_at", stamped=True),
    _moment("ended_at", nullable=True),
    _word("kek_id"),
    _bytes("wrapped_key"),
    _bytes("sealed_secret"),
    PrimaryKeyConstraint("tenant_id", "credential_id", name="credential_pkey"),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"],
        ["account.tenant_id", "account.account_id"],
        name="credential_account_fkey",
    ),
    UniqueConstraint("tenant_id", "account_id", "version", name="credential_version_key"),
    CheckConstraint("algorithm IN ('hmac_sha256', 'ed25519')", name="credential_algorithm_check"),
    CheckConstraint("state IN ('active', 'revoked')", name="credential_state_check"),
    CheckConstraint(
        "state <> 'revoked' OR (octet_length(wrapped_key) = 0 AND octet_length(sealed_secret) = 0)",
        name="credential_revoked_check",
    ),
    Index(
        "credential_active_key",
        "tenant_id",
        "account_id",
        unique=True,
        postgresql_where=text("state = 'active'"),
    ),
)
"""One secret of one account, sealed. A revoked one keeps its row and loses its ciphertext."""

secret_access: Final = Table(
    "secret_access",
    metadata,
    _tenant_id(),
    Column("n", BigInteger, nullable=False),
    _moment("at"),
    Column("account_id", Integer),
    Column("credential_id", UUID),
    _word("actor"),
    _word("purpose"),
    _word("outcome"),
    _bytes("digest"),
    _bytes("previous"),
    _bytes("hash"),
    PrimaryKeyConstraint("tenant_id", "n", name="secret_access_pkey"),
)
"""Who had what signed: append-only, each row of a tenant hashed together with the one before it."""

invitation: Final = Table(
    "invitation",
    metadata,
    _of_tenant(ondelete="CASCADE"),
    Column("invitation_id", UUID, nullable=False, server_default=text("gen_random_uuid()")),
    _bytes("token_hash"),
    _moment("created_at", stamped=True),
    _moment("expires_at"),
    _moment("used_at", nullable=True),
    PrimaryKeyConstraint("tenant_id", "invitation_id", name="invitation_pkey"),
    UniqueConstraint("token_hash", name="invitation_token_hash_key"),
)
