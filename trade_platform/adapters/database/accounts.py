"""Which tenants and accounts there are: what a process must know before it can act for one tenant."""

from __future__ import annotations

from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.roles import DIRECTORY, acting_as

_ACCOUNTS: Final = """
SELECT a.account_id, a.tenant_id::text, a.key, a.exchange, a.testnet, a.state
FROM account a WHERE %(key)s::text IS NULL OR a.key = %(key)s
ORDER BY a.key
"""


class Account(msgspec.Struct, frozen=True):
    """One account of one tenant on one exchange."""

    account_id: int
    tenant_id: str
    key: str
    exchange: str
    testnet: bool
    state: str
    """``active`` or ``revoked``."""

    @property
    def active(self) -> bool:
        return self.state == "active"


def account_of(connection: Connection, key: str) -> Account | None:
    """By its key, which is the only thing that a process is told; outside of a transaction."""
    return next(iter(_read(connection, key)), None)


def all_accounts(connection: Connection) -> list[Account]:
    """Of all tenants, revoked ones included, by key; outside of a transaction."""
    return _read(connection, None)


def _read(connection: Connection, key: str | None) -> list[Account]:
    with acting_as(connection, DIRECTORY):
        return [Account(*row) for row in connection.execute(_ACCOUNTS, {"key": key}).fetchall()]
