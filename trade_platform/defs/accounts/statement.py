"""A day's statement of an account: a picture, a table, and what is near to its end."""

from typing import Any, Final

import dagster as dg

from trade_platform.defs.accounts.days import ACCOUNT_DAYS, GROUP, OWNERS, asked_day, books
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.pictures import picture, table
from trade_platform.defs.stores import Stores
from trade_platform.domain.difference import in_text
from trade_platform.operations.statement import Statement, statement_of_day, totals

ASSET: Final = dg.AssetKey("account_statement")


@dg.asset(
    key=ASSET,
    partitions_def=ACCOUNT_DAYS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python"},
    deps=[dg.AssetKey("account_ledger")],
    description="Equity and profit of an account's day in USD, by asset and by strategy, fees, funding, "
    "margin and the distance to liquidation. `trade-platform statement` shows any range, of all accounts.",
)
def account_statement(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """From the rows that are held alone."""
    with in_a_sentence(), books(stores, "account_statement") as connection:
        account, day = asked_day(context, connection)
        made = statement_of_day(connection, account, day)
    return dg.MaterializeResult(metadata=shown(made))


def shown(made: Statement) -> dict[str, Any]:
    """What the page shows of one statement."""
    from trade_platform.pictures.equity import equity  # noqa: PLC0415 - only a run draws

    (one,) = made.accounts
    drawn = equity(made.curve, {one.account: one.curve}, made.since, made.until)
    nearest = next((risk.distance for risk in one.risks if risk.distance is not None), None)
    return {
        "equity and profit": picture(drawn, "Equity and profit"),
        **{f"{name}, USD": round(float(value), 2) for name, value in totals(made).items()},
        **({} if one.margin is None else {"margin ratio": float(one.margin)}),
        **({} if nearest is None else {"distance to liquidation": float(nearest)}),
        **({"not counted": list(made.unpriced)} if made.unpriced else {}),
        **_tables(made),
    }


def _tables(made: Statement) -> dict[str, Any]:
    (one,) = made.accounts
    found: dict[str, Any] = {}
    names = (
        "opening",
        "trading",
        "fees",
        "funding",
        "transfers",
        "other",
        "rest",
        "closing",
        "equity",
        "worth",
    )
    if one.lines:
        found["by asset"] = table(
            [
                {"asset": line.asset, **{name: in_text(getattr(line, name)) for name in names}}
                for line in one.lines
            ]
        )
    if one.labels:
        found["by strategy"] = table(
            [
                {
                    "strategy": row.label or "(none)",
                    "fills": row.fills,
                    **{name: in_text(getattr(row, name)) for name in ("volume", "realized", "fees")},
                }
                for row in one.labels
            ]
        )
    return found
