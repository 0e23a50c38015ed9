"""The audit trail of secrets: append-only, each row of a tenant hashed together with the one before it.

A row that is changed, left out or put in breaks the chain at its place. What the chain cannot show is that
its end was cut off: compare ``head`` with what was written down elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import microseconds_of, moment

NOTHING: Final = bytes(32)
"""What the first row of a tenant follows."""
SIGNED: Final = "signed"
LONGEST_WORD: Final = 200

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('secret_access ' || %s::text, 0))"
_LAST: Final = "SELECT n, hash FROM secret_access WHERE tenant_id = %s::uuid ORDER BY n DESC LIMIT 1"
_APPEND: Final = """
INSERT INTO secret_access (tenant_id, n, at, account_id, credential_id, actor, purpose, outcome, digest,
                           previous, hash)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_ALL: Final = """
SELECT n, at, account_id, credential_id, actor, purpose, outcome, digest, previous, hash
FROM secret_access WHERE tenant_id = %s::uuid ORDER BY n
"""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a secret, or one refusal."""

    tenant: str
    account_id: int | None
    credential: str | None
    actor: str
    """Which process of which user."""
    purpose: str
    outcome: str
    digest: bytes = b""
    """SHA-256 of the text that was signed."""


class Head(msgspec.Struct, frozen=True):
    """Where a tenant's chain ends."""

    n: int
    hash: bytes


def digest_of(text: str) -> bytes:
    """What the trail keeps of a text that was signed."""
    return hashlib.sha256(text.encode()).digest()


def append(connection: Connection, access: Access, at: int) -> Head:
    """Write it down in the transaction in hand, whose tenant must be the access's."""
    connection.execute(_LOCK, (access.tenant,))
    last = head(connection, access.tenant)
    n = last.n + 1
    access = msgspec.structs.replace(
        access, actor=access.actor[:LONGEST_WORD], purpose=access.purpose[:LONGEST_WORD]
    )
    hashed = _hash(n, at, access, last.hash)
    connection.execute(
        _APPEND,
        (
            access.tenant, n, moment(at), access.account_id, access.credential, access.actor,
            access.purpose, access.outcome, access.digest, last.hash, hashed,
        ),
    )  # fmt: skip
    return Head(n, hashed)


def head(connection: Connection, tenant: str) -> Head:
    """The end of a tenant's chain; the beginning where it has none."""
    row = connection.execute(_LAST, (tenant,)).fetchone()
    return Head(0, NOTHING) if row is None else Head(row[0], row[1])


def broken_at(connection: Connection, tenant: str) -> int | None:
    """The number of the first row that does not follow from the one before it; None: the chain holds."""
    expected, previous = 1, NOTHING
    for n, at, access, told_previous, told_hash in _rows(connection, tenant):
        if n != expected or told_previous != previous or told_hash != _hash(n, at, access, previous):
            return expected
        expected, previous = n + 1, told_hash
    return None


def _rows(connection: Connection, tenant: str) -> Iterator[tuple[int, int, Access, bytes, bytes]]:
    for row in connection.execute(_ALL, (tenant,)):
        n, at, access, previous, hashed = _read(tenant, row)
        yield n, at, access, previous, hashed


def _read(tenant: str, row: tuple[Any, ...]) -> tuple[int, int, Access, bytes, bytes]:
    n: int = row[0]
    at: datetime = row[1]
    credential: UUID | None = row[3]
    access = Access(
        tenant=tenant,
        account_id=row[2],
        credential=None if credential is None else str(credential),
        actor=row[4],
        purpose=row[5],
        outcome=row[6],
        digest=row[7],
    )
    return n, microseconds_of(at), access, row[8], row[9]


def _hash(n: int, at: int, access: Access, previous: bytes) -> bytes:
    told = msgspec.json.encode([n, at, msgspec.structs.astuple(access)])
    return hashlib.sha256(previous + told).digest()
