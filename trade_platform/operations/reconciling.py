"""Which accounts are to be reconciled now: on a timer, after every time of blindness, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from trade_platform.adapters.database import roles
from trade_platform.adapters.database.account_rows import Activity, load_activity
from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.books import Owner
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.reconciliations import (
    OPEN,
    StoredDiscrepancy,
    StoredRun,
    StoredSuspense,
    discrepancies,
    last_run,
    suspended,
)
from trade_platform.domain.model import MICROSECONDS, MINUTE

AGAIN: Final = MINUTE
"""What differs, and nothing was added about yet, is looked at again after so long."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one account stands."""

    account: str
    exchange: str
    run: StoredRun | None
    discrepancies: Sequence[StoredDiscrepancy]
    suspended: Sequence[StoredSuspense]
    activity: Activity

    def occasion(self, now: int, every_seconds: float) -> str:
        """Why it is to be reconciled now; empty: it need not be."""
        if self.run is None:
            return "first"
        if self.activity.blind_since_run:
            return "blindness"
        if now >= self.run.at + AGAIN and any(one.state == OPEN for one in self.discrepancies):
            return "discrepancy"
        return "timer" if now >= self.run.at + int(every_seconds * MICROSECONDS) else ""

    def is_stale(self, now: int, after_seconds: float) -> bool:
        """Nobody has compared it for so long, or what it tells is not heard."""
        if self.activity.open_blindness or self.run is None:
            return True
        return now > self.run.at + int(after_seconds * MICROSECONDS)


def standing_of(connection: Connection, account: Account, *, closed: bool = False) -> Standing:
    """From its rows; the connection has stepped down. ``closed``: past discrepancies, too."""
    owner = Owner(account.tenant_id, account.account_id, account.exchange)
    with connection.transaction():
        roles.tenant(connection, account.tenant_id)
        return Standing(
            account=account.key,
            exchange=account.exchange,
            run=last_run(connection, owner),
            discrepancies=discrepancies(connection, owner, closed=closed),
            suspended=suspended(connection, owner),
            activity=load_activity(connection, owner),
        )
