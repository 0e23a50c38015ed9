"""What moved an account's money in a day, and whether it comes out."""

from collections.abc import Sequence
from typing import Final

import dagster as dg

from trade_platform.defs.accounts.days import ACCOUNT_DAYS, GROUP, OWNERS, asked_day, books, span
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.pictures import table
from trade_platform.defs.stores import Stores
from trade_platform.domain.difference import in_text
from trade_platform.domain.statement import AssetLine
from trade_platform.operations.ledger_day import ledger_of
from trade_platform.operations.statement import statement_of_day

ASSET: Final = dg.AssetKey("account_ledger")
COMES_OUT: Final = "comes_out"


@dg.asset(
    key=ASSET,
    partitions_def=ACCOUNT_DAYS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    deps=[dg.AssetKey("account_reconciliation")],
    check_specs=[
        dg.AssetCheckSpec(
            COMES_OUT, asset=ASSET, description="Opening + trades, fees, funding and transfers = closing."
        )
    ],
    description="What changed each asset of an account in a day: trades, fees, funding, transfers. Kept as "
    "rows of `statement_day`.",
)
def account_ledger(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg] # with checks
    """From the rows that are held alone."""
    with in_a_sentence(), books(stores, "account_ledger") as connection:
        account, day = asked_day(context, connection)
        rows = ledger_of(connection, account, *span(day))
        lines = statement_of_day(connection, account, day).accounts[0].lines
    told = [
        {"asset": row.asset, "kind": row.kind, "rows": row.rows, "change": in_text(row.change)}
        for row in rows
    ]
    return dg.MaterializeResult(
        metadata={
            "rows": sum(row.rows for row in rows),
            **({"by kind": table(told)} if told else {}),
        },
        check_results=[_judged(lines)],
    )


def _judged(lines: Sequence[AssetLine]) -> dg.AssetCheckResult:
    off = [f"{line.asset}: {in_text(line.rest)}" for line in lines if line.rest]
    return dg.AssetCheckResult(
        check_name=COMES_OUT,
        passed=not off,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Nothing explains {'; '.join(off)}." if off else "It does.",
        metadata={"assets": len(lines)},
    )
