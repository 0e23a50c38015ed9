"""What is said of an instrument's day: what it has now, and how its checks stand, without making anything."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.day_counts import Candles, count_candles
from trade_platform.defs.ohlc.control import control_metadata
from trade_platform.defs.ohlc.days import PartitionDay
from trade_platform.operations.candles import ROLLED
from trade_platform.operations.comparing import compare_stored


def as_it_stands(connection: Connection, days: Sequence[PartitionDay]) -> Iterator[dg.AssetMaterialization]:
    """Processors make the running day's candles, and nobody has to: what is there is told of each partition.

    A partition without any minute is left out: there is nothing to look at yet. All are of one day.
    """
    if not days:
        return
    ids = [each.instrument_id for one in days for each in one.instruments]
    counted = count_candles(connection, ids, days[0].day)
    for one in days:
        if any((each.instrument_id, "1m") in counted for each in one.instruments):
            totals = [compare_stored(connection, each, one.day) for each in one.instruments]
            yield from made(one.key, {**_candles(one, counted), "control_totals": control_metadata(totals)})


def made(key: str, said: Mapping[str, Mapping[str, Any]]) -> list[dg.AssetMaterialization]:
    """One of each asset that is named, with its metadata."""
    with warnings.catch_warnings():
        # Dagster gives an event of two dimensions tags that it calls deprecated itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        return [
            dg.AssetMaterialization(asset_key=[asset], partition=key, metadata=metadata)
            for asset, metadata in said.items()
        ]


def _candles(one: PartitionDay, counted: Mapping[tuple[int, str], Candles]) -> dict[str, dict[str, int]]:
    said = {}
    for interval in ("1m", *ROLLED):
        parts = [counted.get((each.instrument_id, interval), Candles()) for each in one.instruments]
        name = "minutes" if interval == "1m" else "candles"
        said[f"candles_{interval}"] = {
            name: sum(part.candles for part in parts),
            "complete": sum(part.complete for part in parts),
            "trades": sum(part.trades for part in parts),
        }
    return said
