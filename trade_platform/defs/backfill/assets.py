"""Trades of past days, read from archives and by REST; processors store them, as they do all trades."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import dagster as dg

from trade_platform.adapters.database.backfill import Named
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.live.assets import connection_key
from trade_platform.defs.ohlc.days import OWNERS, PartitionDay, asked_days
from trade_platform.defs.partitions import INSTRUMENT_DAYS
from trade_platform.defs.stores import Stores
from trade_platform.domain.backfill import DayOutcome
from trade_platform.exchanges.registry import EXCHANGES

if TYPE_CHECKING:  # an HTTP client: only the run that reads pays for it
    from trade_platform.operations.backfill import Backfilled, Progress

ASSET: Final = dg.AssetKey("trades_backfill")


@dg.asset(
    key=ASSET,
    partitions_def=INSTRUMENT_DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[connection_key(key) for key in EXCHANGES],
    group_name="completeness",
    owners=OWNERS,
    kinds={"python"},
    pool="trades_backfill",
    description="Reads what is lacking of past days from the exchange's archive and by REST, within the "
    "shared limits, and sends it over the bus; then makes the day's candles. What is held is not read again. "
    "`trade-platform backfill` does the same.",
)
def trades_backfill(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Each partition of the run; fails at the end where a day is not whole, and keeps those that are."""
    from trade_platform.operations.backfill import BackfillRuns  # noqa: PLC0415

    with in_a_sentence(BackfillRuns):
        with stores.database("trades_backfill") as connection:
            asked = list(asked_days(context, connection))
        done = asyncio.run(_backfill(context, stores, asked))
    found = {one.key: told(one, done) for one in asked}
    bad = lacking_words(asked, done)
    for key, metadata in found.items():
        if not bad:
            context.add_asset_metadata(metadata, partition_key=key)
        elif metadata["good"]:
            context.log_event(dg.AssetMaterialization(ASSET, metadata=metadata, partition=key))
    if bad:
        raise dg.Failure("\n".join(bad[:50]))
    return dg.MaterializeResult()


async def _backfill(
    context: dg.AssetExecutionContext, stores: Stores, asked: Iterable[PartitionDay]
) -> "Backfilled":
    from trade_platform.operations.backfill import backfill  # noqa: PLC0415
    from trade_platform.operations.wishes import Wish, targets  # noqa: PLC0415

    async with stores.desk("trades_backfill") as desk:
        wishes = [
            Wish(target, [one.day])
            for one in asked
            for target in targets(
                desk, [Named(each.instrument_id, each.exchange, each.symbol) for each in one.instruments]
            )
        ]
        return await backfill(desk, wishes, progress=Log(context).show)


def told(one: PartitionDay, done: "Backfilled") -> Mapping[str, int | str | bool]:
    """What the page shows of one partition."""
    days = _days_of(one, done)
    return {
        "trades": sum(each.trades for each in days),
        "exchange_candles": sum(each.candles for each in days),
        "minutes": sum(each.minutes for each in days),
        "complete_minutes": sum(each.complete for each in days),
        "instruments": len(days),
        "state": ", ".join(sorted({each.state for each in days})),
        "source": ", ".join(sorted({each.source for each in days if each.source})),
        "good": bool(days) and all(each.good for each in days),
    }


def lacking_words(asked: Iterable[PartitionDay], done: "Backfilled") -> list[str]:
    """A line for each day that is not whole."""
    lines = [
        f"{one.exchange} {one.symbol} {one.day}: {one.state}, {one.words}"
        for one in done.days
        if not one.good
    ]
    unknown = sorted({one.key for one in asked if not one.instruments})
    lines += [f"{key}: nothing of it is recorded, so no instrument is known" for key in unknown]
    if left := done.asked - len(done.days):
        lines.append(f"{left:,} days were not begun; a new run goes on from here")
    return lines


def _days_of(one: PartitionDay, done: "Backfilled") -> list[DayOutcome]:
    names = {(each.exchange, each.symbol) for each in one.instruments}
    return [each for each in done.days if each.day == one.day and (each.exchange, each.symbol) in names]


class Log:
    """Says each finished day in the run's log."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._said = 0

    def show(self, far: "Progress") -> None:
        if int(far.done) > self._said:
            self._said = int(far.done)
            self._context.log.info("%s of %s days, %s trades; %s", self._said, far.days, far.trades, far.what)
