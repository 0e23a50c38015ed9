"""The exchange's own candles, fetched where we hold none, against ours."""

import asyncio

import dagster as dg
import msgspec

from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.ohlc.days import GROUP, OWNERS, PartitionDay, held_days, summed
from trade_platform.defs.partitions import INSTRUMENT_DAYS
from trade_platform.defs.stores import Stores
from trade_platform.operations.comparing import Comparison


@dg.asset(
    key=["control_totals"],
    partitions_def=INSTRUMENT_DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[["candles_1m"], ["postgres", "candle"]],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    description="Our minutes against the exchange's own, field by field. What differs is kept, both values, "
    "explained or open. Minutes that the exchange lacks (it was out) and candles without volume are counted.",
)
def control_totals(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """Compare each day; fails at the end where an exchange gave no answer."""
    with in_a_sentence():
        with stores.database("control_totals") as connection:
            asked = list(held_days(context, connection))
        compared = asyncio.run(_compare(stores, asked))
    for one, comparisons in compared:
        context.add_asset_metadata(control_metadata(comparisons), partition_key=one.key)
    unanswered = {each.unanswered for _, them in compared for each in them if each.unanswered}
    if unanswered:
        raise dg.Failure("; ".join(sorted(unanswered)))
    return dg.MaterializeResult()


def control_metadata(comparisons: list[Comparison]) -> dict[str, object]:
    """What the page shows of one partition."""
    counts = summed([msgspec.structs.asdict(one.counts) for one in comparisons])
    refused = sorted({f"{one.symbol}: {one.refused}" for one in comparisons if one.refused})
    return {
        **counts,
        "healed": sum(one.healed for one in comparisons),
        "read": sum(one.read for one in comparisons),
        **({"refused": "; ".join(refused)} if refused else {}),
    }


async def _compare(stores: Stores, asked: list[PartitionDay]) -> list[tuple[PartitionDay, list[Comparison]]]:
    from trade_platform.operations.control import compare_day  # noqa: PLC0415  an HTTP client

    async with stores.desk("control_totals") as desk:
        return [
            (one, [await compare_day(desk, instrument, one.day) for instrument in one.instruments])
            for one in asked
        ]
