"""Candles by instrument and day: the minutes from their trades, and the wider ones from the minutes."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from trade_platform.adapters.database.connection import Connection
from trade_platform.defs.failures import in_a_sentence
from trade_platform.defs.ohlc.chart import chart_of
from trade_platform.defs.ohlc.days import GROUP, OWNERS, PartitionDay, held_days, summed
from trade_platform.defs.ohlc.standing import blocked
from trade_platform.defs.ohlc.telling import made
from trade_platform.defs.partitions import INSTRUMENT_DAYS
from trade_platform.defs.stores import Stores
from trade_platform.operations.candles import ROLLED, Built, build_day
from trade_platform.operations.rolling import roll_up_day

MOST_NAMED: Final = 20


@dg.asset(
    key=["candles_1m"],
    partitions_def=INSTRUMENT_DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[["postgres", "trade"]],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres"},
    description="Minutes from the day's trades. Complete only where every trade of the minute is proven to "
    "be held; a running minute has none. Made again, nothing changes that is right already.",
)
def candles_1m(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """All minutes of each day, anew."""
    now = stores.clock().market()
    with in_a_sentence(), stores.database("candles_1m") as connection:
        asked = list(held_days(context, connection))
        for one in asked:
            built = [build_day(connection, each.instrument_id, one.day, now=now) for each in one.instruments]
            context.add_asset_metadata(minutes_metadata(built), partition_key=one.key)
        if len(asked) == 1:
            context.add_asset_metadata(chart_of(connection, asked[0]), partition_key=asked[0].key)
    return dg.MaterializeResult()


def _spec(interval: str, narrow: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        [f"candles_{interval}"],
        deps=[[f"candles_{narrow}"]],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"postgres"},
        description=f"Made of the {narrow} candles when the bucket is over; complete where all of them are.",
    )


@dg.multi_asset(
    specs=[_spec(wide, narrow) for wide, narrow in zip(ROLLED, ("1m", *ROLLED), strict=False)],
    partitions_def=INSTRUMENT_DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    can_subset=True,
)
def roll_ups(context: dg.AssetExecutionContext, stores: Stores) -> Iterator[dg.MaterializeResult[None]]:
    """Each interval is made of the next narrower one, so that all are made whichever is asked for.

    A partition whose minutes this very run found wrong is left out, and the run fails; the others are made.
    """
    now = stores.clock().market()
    asked = [
        interval for interval in ROLLED if dg.AssetKey(f"candles_{interval}") in context.selected_asset_keys
    ]
    with in_a_sentence(), stores.database("roll_ups") as connection:
        days = list(held_days(context, connection))
        wrong = blocked(context.instance, context.run.run_id, [one.key for one in days])
        said = {one.key: _rolled(connection, one, asked, now) for one in days if one.key not in wrong}
    if wrong:
        for key, metadata in said.items():
            for event in made(key, metadata):
                context.log_event(event)
        raise dg.Failure(
            f"The minutes of {', '.join(sorted(wrong)[:MOST_NAMED])} are wrong, as their checks say."
        )
    for key, metadata in said.items():
        for asset, counts in metadata.items():
            context.add_asset_metadata(counts, asset_key=asset, partition_key=key)
    yield from (dg.MaterializeResult(asset_key=f"candles_{interval}") for interval in asked)


def _rolled(
    connection: Connection, one: PartitionDay, asked: Sequence[str], now: int
) -> dict[str, dict[str, int]]:
    """Metadata of each asset."""
    changed = summed(
        [roll_up_day(connection, each.instrument_id, one.day, now=now) for each in one.instruments]
    )
    return {f"candles_{interval}": {"changed": changed.get(interval, 0)} for interval in asked}


def minutes_metadata(built: Sequence[Built]) -> dict[str, Any]:
    """What the page shows of one partition's minutes."""
    return {
        name: sum(getattr(one, name) for one in built)
        for name in ("minutes", "complete", "changed", "trades")
    }


def rolled_metadata(built: Sequence[Built]) -> dict[str, dict[str, Any]]:
    """The same of its wider candles, by interval."""
    return {interval: {"changed": sum(one.rolled_up[interval] for one in built)} for interval in ROLLED}
