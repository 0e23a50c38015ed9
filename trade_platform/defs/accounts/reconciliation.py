"""A day of an account, held against what its exchange tells of it."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import dagster as dg

from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.accounts.days import ACCOUNT_DAYS, GROUP, OWNERS, TABLES, asked_day, books, span
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.live.assets import table_key
from trade_platform.defs.pictures import table
from trade_platform.defs.stores import Stores
from trade_platform.operations.reconcile import Reconciled, reconcile

ASSET: Final = dg.AssetKey("account_reconciliation")
AGREES: Final = "agrees_with_the_exchange"
ANSWERED: Final = "everything_was_answered"
MATCHED: Final = "nothing_in_suspense"
MOST_NAMED: Final = 50


@dg.asset(
    key=ASSET,
    partitions_def=ACCOUNT_DAYS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python"},
    deps=[table_key(name) for name in TABLES],
    check_specs=[
        dg.AssetCheckSpec(
            AGREES, asset=ASSET, description="Whatever differed was healed by what the exchange told."
        ),
        dg.AssetCheckSpec(ANSWERED, asset=ASSET, description="No question was left without an answer."),
        dg.AssetCheckSpec(MATCHED, asset=ASSET, description="Every fill and movement fits to another."),
    ],
    description="Orders, fills, positions, balances and the ledger of an account's day against what its "
    "exchange tells; opening + movements = closing. What is missing is read again.",
)
def account_reconciliation(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg] # with checks
    """Asked for by hand, also of past days; the sensor asks for the running one."""
    with in_a_sentence(), books(stores, "account_reconciliation") as connection:
        account, day = asked_day(context, connection)
        done = asyncio.run(_reconcile(stores, connection, account, *span(day)))
    return dg.MaterializeResult(metadata=shown(done), check_results=list(judged(done)))


async def _reconcile(
    stores: Stores, connection: Connection, account: Account, since: int, until: int
) -> Reconciled:
    from trade_platform.reconcile_desk import account_desk  # noqa: PLC0415 - an HTTP client: few runs need it

    async with account_desk(stores.settings(), connection, account) as desk:
        return await reconcile(desk, since=since, until=until, occasion="day")


def shown(done: Reconciled) -> dict[str, Any]:
    """What the page shows of one run."""
    return {
        "compared": done.compared,
        "just changing": done.skipped,
        "differed": len(done.raised),
        "healed": done.healed,
        "new rows of the ledger": done.ledger,
        **{subject.value: state.value for subject, state in done.states.items()},
        **({"not answered": list(done.words)} if done.words else {}),
        **({"differences": table([_row(one) for one in done.raised[:MOST_NAMED]])} if done.raised else {}),
    }


def _row(one: Any) -> dict[str, str | float | int | bool | None]:
    difference = one.difference
    return {
        "subject": difference.subject.value,
        "key": difference.key,
        "kind": difference.kind.value,
        "field": difference.field,
        "ours": difference.ours or "",
        "theirs": difference.theirs or "",
        "USD": None if difference.money is None else float(difference.money),
        "severity": difference.severity.value,
        "state": one.state,
        "reason": one.reason,
    }


def judged(done: Reconciled) -> Iterable[dg.AssetCheckResult]:
    """The checks of one run."""
    yield dg.AssetCheckResult(
        check_name=AGREES,
        passed=not done.open,
        description=f"{done.open} differences are left." if done.open else "The books are the exchange's.",
        metadata={"differed": len(done.raised), "healed": done.healed},
    )
    unknown = ", ".join(subject.value for subject in done.unknown)
    yield dg.AssetCheckResult(
        check_name=ANSWERED,
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Unknown: {unknown}." if unknown else "All of it.",
    )
    waiting = len(done.suspended)
    yield dg.AssetCheckResult(
        check_name=MATCHED,
        passed=not waiting,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{waiting} cannot be matched." if waiting else "All of it fits.",
        metadata={"first of them": [f"{one.key}: {one.reason}" for one in done.suspended[:MOST_NAMED]]},
    )
