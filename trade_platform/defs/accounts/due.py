"""What asks for comparisons by itself: accounts that nobody compared, that were blind, or that differ."""

import asyncio
import time
import warnings
from collections.abc import Sequence
from typing import Final

import dagster as dg

from trade_platform.adapters.database.accounts import Account
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of
from trade_platform.defs.accounts.days import ACCOUNTS, OWNERS, books
from trade_platform.defs.accounts.reconciliation import ASSET, judged, shown
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.runs import is_active
from trade_platform.defs.stores import Stores, unreachable
from trade_platform.operations.reconcile import Reconciled, reconcile
from trade_platform.operations.reconciling import standing_of

STALE_SECONDS: Final = 600.0
"""An account that was not compared for so long is due, whoever else compares it on a timer."""
LOOK_SECONDS: Final = 30


@dg.op
def reconcile_what_is_due(context: dg.OpExecutionContext, stores: Stores) -> None:
    """Each account that is due now; the run says of each what its asset's own run would say."""
    with in_a_sentence(), books(stores, "reconcile_due") as connection:
        now = stores.clock().market()
        done = asyncio.run(_reconcile(stores, connection, due_accounts(connection, now)))
    for one in done:
        say(context, one)


@dg.job(
    description="Compares accounts that nobody compared for ten minutes, that were blind, or that differ.",
    owners=OWNERS,
    executor_def=dg.in_process_executor,
)
def reconcile_due() -> None:
    """One op."""
    reconcile_what_is_due()


@dg.sensor(
    job=reconcile_due,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Accounts become partitions; one that is stale, was blind or differs is compared again.",
)
def account_standing(context: dg.SensorEvaluationContext, stores: Stores) -> dg.SensorResult | dg.SkipReason:
    """Bounded queries; one run for all that is due, none while one is on its way."""
    with unreachable() as missing, books(stores, "account_standing") as connection:
        known = _active(connection)
        due = due_accounts(connection, stores.clock().market())
    if missing:
        return dg.SkipReason(missing[0])
    partitions = set(context.instance.get_dynamic_partitions(str(ACCOUNTS.name)))
    keys = {one.key for one in known}
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if new := sorted(keys - partitions):
        requests.append(ACCOUNTS.build_add_request(new))
    if gone := sorted(partitions - keys):
        requests.append(ACCOUNTS.build_delete_request(gone))
    asked = bool(due) and not is_active(context.instance, reconcile_due.name)
    if not asked and not requests:
        return dg.SkipReason(f"{len(keys)} accounts, none is due.")
    run = dg.RunRequest(run_key=f"{time.time():.0f}", tags={"accounts": str(len(due))})
    return dg.SensorResult(run_requests=[run] if asked else [], dynamic_partitions_requests=requests)


def due_accounts(connection: Connection, now: int) -> list[tuple[Account, str]]:
    """Accounts with the occasion of comparing them now."""
    standings = [(account, standing_of(connection, account)) for account in _active(connection)]
    return [
        (account, occasion)
        for account, standing in standings
        if (occasion := standing.occasion(now, STALE_SECONDS))
    ]


def _active(connection: Connection) -> list[Account]:
    from trade_platform.reconcile_desk import chosen_accounts  # noqa: PLC0415 - an HTTP client: few runs need it

    return chosen_accounts(connection)


async def _reconcile(
    stores: Stores, connection: Connection, due: Sequence[tuple[Account, str]]
) -> list[Reconciled]:
    from trade_platform.reconcile_desk import account_desk  # noqa: PLC0415

    done = []
    for account, occasion in due:
        async with account_desk(stores.settings(), connection, account) as desk:
            done.append(await reconcile(desk, occasion=occasion))
    return done


def say(context: dg.OpExecutionContext, done: Reconciled) -> None:
    """Note a run that is no asset's own as one of the account's day."""
    key = dg.MultiPartitionKey({"account": done.account, "day": day_of(done.at).isoformat()})
    with warnings.catch_warnings():
        # Dagster gives an event of two dimensions tags that it calls deprecated itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.log_event(dg.AssetMaterialization(asset_key=ASSET, partition=key, metadata=shown(done)))
    for result in judged(done):
        evaluation = dg.AssetCheckEvaluation(
            asset_key=ASSET,
            check_name=str(result.check_name),
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata or {},
        )
        context.log_event(evaluation)  # type: ignore[arg-type] # it takes them; its annotation does not
