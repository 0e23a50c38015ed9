"""Accounts: what their exchanges tell against our books, what moved their money, what they are worth."""

from __future__ import annotations

import dagster as dg

from trade_platform.defs.accounts import due, ledger, reconciliation, statement
from trade_platform.defs.accounts.days import external_assets


def definitions() -> dg.Definitions:
    """Assets of an account's day, their checks, and the sensor that asks for comparisons by itself."""
    return dg.Definitions(
        assets=[
            *external_assets(),
            reconciliation.account_reconciliation,
            ledger.account_ledger,
            statement.account_statement,
        ],
        jobs=[due.reconcile_due],
        sensors=[due.account_standing],
    )
