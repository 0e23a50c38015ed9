"""Stepping down: a connection gives up what could pass row-level security before it touches private rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.pq import TransactionStatus

from trade_platform.adapters.database.connection import Connection, sentence
from trade_platform.adapters.database.revision import COMMAND

ACCOUNTS: Final = "trade_platform_accounts"
"""Reads and writes private rows of the tenant in ``app.tenant``; never ciphertext."""
VAULT: Final = "trade_platform_vault"
"""Reads and writes credentials; appends to the audit trail."""
DIRECTORY: Final = "trade_platform_directory"
"""Knows which tenants and accounts there are, and nothing else of them."""
OPERATOR: Final = "trade_platform_operator"
"""Invites tenants and lets them go."""
ROLES: Final = (ACCOUNTS, VAULT, DIRECTORY, OPERATOR)

OPERATOR_TENANT: Final = "00000000-0000-4000-8000-000000000001"
"""The tenant whose machine it is; made by the migration."""

_SET: Final = "SELECT set_config('role', %s, %s)"
_WHO: Final = "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_TENANT: Final = "SELECT set_config('app.tenant', %s, true)"


class CannotStepDown(Exception):
    """The connection would see every tenant's rows; the sentence says what to do."""


def become(connection: Connection, role: str) -> None:
    """Have the connection act as the role for the rest of its life. Raises CannotStepDown.

    Outside of a transaction: one that is rolled back would take the role back, too.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise RuntimeError("become a role outside of any transaction")
    _set(connection, role, local=False)
    require(connection, role)


def require(connection: Connection, role: str) -> None:
    """Raises CannotStepDown unless the connection acts as this role, and it obeys row-level security."""
    row = connection.execute(_WHO).fetchone()
    if row is None or row[0] != role or row[1]:
        raise CannotStepDown(
            f"The database connection acts as {row[0] if row else 'nobody'}, not as {role}, or could pass "
            f"row-level security: run ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS and start again."
        )


@contextmanager
def acting_as(connection: Connection, role: str, tenant_id: str = "") -> Iterator[None]:
    """A transaction in which the connection is the role, for one tenant's rows. Raises CannotStepDown.

    Asked of whoever logged in, whatever role the connection has become since.
    """
    with connection.transaction():
        _set(connection, role, local=True)
        require(connection, role)
        tenant(connection, tenant_id)
        yield


def tenant(connection: Connection, tenant_id: str) -> None:
    """Until the transaction ends, the rows of this tenant and of no other are there."""
    if connection.info.transaction_status is not TransactionStatus.INTRANS:
        raise RuntimeError("choose the tenant inside of a transaction: it is forgotten with it")
    connection.execute(_TENANT, (tenant_id,))


def _set(connection: Connection, role: str, *, local: bool) -> None:
    if role not in ROLES:
        raise ValueError(f"{role!r} is none of {', '.join(ROLES)}")
    try:
        connection.execute(_SET, (role, local))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject) as error:
        raise CannotStepDown(
            f"The database has no role {role}: run `{COMMAND}` with DATABASE_URL."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise CannotStepDown(
            f"The database's user may not become {role} ({sentence(error)}): run GRANT {role} TO that user."
        ) from error
