"""Tenants: invited with a token that is never stored, active once it was accepted, let go with all rows."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime
from typing import Final

import msgspec
from psycopg import sql

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.private_tables import leaves_first
from trade_platform.adapters.database.roles import OPERATOR, OPERATOR_TENANT, acting_as

TOKEN_BYTES: Final = 32
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
KEPT: Final = "secret_access"
"""The audit trail outlives a tenant: it holds its number, not its name."""

_INVITE: Final = """
INSERT INTO tenant (slug) VALUES (%s) ON CONFLICT (slug) DO NOTHING
"""
_FIND: Final = "SELECT tenant_id::text, state FROM tenant WHERE slug = %s"
_VOID: Final = "UPDATE invitation SET expires_at = now() WHERE tenant_id = %s::uuid AND used_at IS NULL"
_NEW_INVITATION: Final = """
INSERT INTO invitation (tenant_id, token_hash, expires_at)
VALUES (%s, %s, now() + make_interval(days => %s)) RETURNING expires_at
"""
_USE: Final = """
UPDATE invitation SET used_at = now() WHERE token_hash = %s AND used_at IS NULL AND expires_at > now()
RETURNING tenant_id::text
"""
_ACTIVATE: Final = """
UPDATE tenant SET state = 'active' WHERE tenant_id = %s::uuid AND state = 'invited' RETURNING slug
"""
_QUOTAS: Final = """
UPDATE tenant SET most_accounts = coalesce(%s, most_accounts),
                  most_signatures_per_minute = coalesce(%s, most_signatures_per_minute)
WHERE slug = %s
"""
_LIST: Final = """
SELECT t.slug, t.state, count(a.account_id) FILTER (WHERE a.state = 'active'), t.most_accounts,
       t.most_signatures_per_minute, t.created_at,
       (SELECT max(i.expires_at) FROM invitation i
        WHERE i.tenant_id = t.tenant_id AND i.used_at IS NULL AND i.expires_at > now())
FROM tenant t LEFT JOIN account a USING (tenant_id)
GROUP BY t.tenant_id ORDER BY t.slug
"""
_STREAMS: Final = {
    "dead_letter": "DELETE FROM dead_letter WHERE stream LIKE %s",
    "stream_position": "DELETE FROM stream_position WHERE stream LIKE %s",
    "producer_position": "DELETE FROM producer_position WHERE stream LIKE %s",
}


class TenantRefused(Exception):
    """It cannot be done with this tenant; the sentence says why, and what to do."""


class Tenant(msgspec.Struct, frozen=True):
    """One tenant, as the operator sees it: no row of its own."""

    slug: str
    state: str
    """``invited``, ``active`` or ``suspended``."""
    accounts: int
    most_accounts: int
    most_signatures_per_minute: int
    created_at: datetime
    invited_until: datetime | None


class Invitation(msgspec.Struct, frozen=True):
    """Shown once; the database holds the token's hash."""

    slug: str
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Invitation({self.slug!r}, ***, {self.expires_at!r})"


def invite(connection: Connection, slug: str, *, days: int) -> Invitation:
    """A new tenant, or a new token for one that has not come yet: earlier ones end. Raises TenantRefused."""
    if not SLUG.fullmatch(slug):
        raise TenantRefused(
            f"{slug!r} is no tenant's name: take lower-case letters, digits and -, at most 31."
        )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with acting_as(connection, OPERATOR):
        connection.execute(_INVITE, (slug,))
        row = connection.execute(_FIND, (slug,)).fetchone()
        assert row is not None, "it was there, or it was just made"
        if row[1] != "invited":
            raise TenantRefused(f"The tenant {slug} is {row[1]} already: it needs no invitation.")
        connection.execute(_VOID, (row[0],))
        expires = connection.execute(_NEW_INVITATION, (row[0], _hash(token), days)).fetchone()
        assert expires is not None, "RETURNING answers a row"
    return Invitation(slug, token, expires[0])


def accept(connection: Connection, token: str) -> str:
    """The tenant's short name; the token is used up. Raises TenantRefused."""
    with acting_as(connection, OPERATOR):
        used = connection.execute(_USE, (_hash(token.strip()),)).fetchone()
        row = None if used is None else connection.execute(_ACTIVATE, used).fetchone()
        if row is None:
            raise TenantRefused(
                "That token is unknown, used or too old: ask the operator for a new invitation."
            )
    slug: str = row[0]
    return slug


def set_quotas(
    connection: Connection, slug: str, *, accounts: int | None, signatures_per_minute: int | None
) -> None:
    """None: as it is. Raises TenantRefused."""
    with acting_as(connection, OPERATOR):
        if connection.execute(_QUOTAS, (accounts, signatures_per_minute, slug)).rowcount == 0:
            raise TenantRefused(_unknown(slug))


def listed(connection: Connection) -> list[Tenant]:
    """All, by short name."""
    with acting_as(connection, OPERATOR):
        return [Tenant(*row) for row in connection.execute(_LIST).fetchall()]


def tenant_id_of(connection: Connection, slug: str) -> str:
    """Raises TenantRefused."""
    with acting_as(connection, OPERATOR):
        row = connection.execute(_FIND, (slug,)).fetchone()
    if row is None:
        raise TenantRefused(_unknown(slug))
    tenant_id: str = row[0]
    return tenant_id


def remove(connection: Connection, slug: str) -> dict[str, int]:
    """Delete every row of the tenant but its audit trail, at once or not at all: how many, by table.

    Raises TenantRefused.
    """
    tenant_id = tenant_id_of(connection, slug)
    if tenant_id == OPERATOR_TENANT:
        raise TenantRefused("The operator's own tenant cannot be removed.")
    with connection.transaction():
        counts = {
            name: _empty(connection, name, tenant_id) for name in leaves_first(connection) if name != KEPT
        }
        with acting_as(connection, OPERATOR, tenant_id):
            for name, statement in _STREAMS.items():
                counts[name] = connection.execute(statement, (f"account:%:{slug}.%",)).rowcount
    return {name: count for name, count in counts.items() if count}


def _empty(connection: Connection, table: str, tenant_id: str) -> int:
    """The operator deletes rows that it cannot read, and only where the transaction is this tenant's."""
    statement = sql.SQL("DELETE FROM {} WHERE tenant_id = %s::uuid").format(sql.Identifier(table))
    with acting_as(connection, OPERATOR, tenant_id):
        return connection.execute(statement, (tenant_id,)).rowcount


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _unknown(slug: str) -> str:
    return f"There is no tenant {slug!r}: `trade-platform tenant list` shows those there are."
