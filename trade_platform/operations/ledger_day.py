"""What moved an account's money in a day, by asset and kind."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec
from psycopg.rows import class_row

from trade_platform.adapters.database import roles
from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one asset and kind."""

    asset: str
    kind: str
    rows: int
    change: Decimal
    fee: Decimal
    """Part of ``change``, where rows hold both."""
    funding: Decimal
    """The same."""


_LEDGER: Final = """
SELECT asset, kind, count(*) AS rows, sum(change) AS change, coalesce(sum(fee), 0) AS fee,
       coalesce(sum(funding), 0) AS funding
FROM movement
WHERE tenant_id = %s AND account_id = %s AND event_time >= %s AND event_time < %s
GROUP BY asset, kind ORDER BY asset, kind
"""


def ledger_of(connection: Connection, account: Account, since: int, until: int) -> Sequence[LedgerLine]:
    """Of [since, until), microseconds UTC; the connection has stepped down."""
    with connection.transaction(), connection.cursor(row_factory=class_row(LedgerLine)) as cursor:
        roles.tenant(connection, account.tenant_id)
        span = (moment(since), moment(until))
        return cursor.execute(_LEDGER, (account.tenant_id, account.account_id, *span)).fetchall()
