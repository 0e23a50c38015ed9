"""What each day did to each asset of an account; in the caller's transaction, which has chosen the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec
from psycopg.rows import class_row

from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection


class StatementDay(msgspec.Struct, frozen=True, kw_only=True):
    """One row: ``domain.statement.AssetLine`` of a day."""

    day: date
    asset: str
    opening: Decimal
    trading: Decimal
    fees: Decimal
    funding: Decimal
    transfers: Decimal
    other: Decimal
    rest: Decimal
    closing: Decimal
    equity: Decimal
    price: Decimal | None


_CLEAR: Final = "DELETE FROM statement_day WHERE tenant_id = %s AND account_id = %s AND day = %s"
_SAVE: Final = """
INSERT INTO statement_day (
    tenant_id, account_id, day, asset, opening, trading, fees, funding, transfers, other, rest, closing,
    equity, price
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_READ: Final = """
SELECT day, asset, opening, trading, fees, funding, transfers, other, rest, closing, equity, price
FROM statement_day WHERE tenant_id = %s AND account_id = %s AND day >= %s AND day <= %s ORDER BY day, asset
"""


def save_day(connection: Connection, owner: Owner, day: date, rows: Sequence[StatementDay]) -> None:
    """The day as it is known now, in place of what was known before."""
    of = (owner.tenant_id, owner.account_id)
    connection.execute(_CLEAR, (*of, day))
    with connection.cursor() as cursor:
        cursor.executemany(
            _SAVE, [(*of, *(getattr(row, name) for name in row.__struct_fields__)) for row in rows]
        )


def statement_days(connection: Connection, owner: Owner, first: date, last: date) -> list[StatementDay]:
    """Of the days from ``first`` to ``last``, both included."""
    with connection.cursor(row_factory=class_row(StatementDay)) as cursor:
        return cursor.execute(_READ, (owner.tenant_id, owner.account_id, first, last)).fetchall()
