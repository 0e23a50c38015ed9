"""Which instruments' days a run is asked for, and what is said of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final, TypeAlias, cast

import dagster as dg
import msgspec

from trade_platform.adapters.database.closed_days import held_on
from trade_platform.adapters.database.connection import Connection
from trade_platform.operations.partitions import Listed, recorded_instruments

OWNERS: Final = ["team:trading"]
GROUP: Final = "ohlc"

Context: TypeAlias = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


class PartitionDay(msgspec.Struct, frozen=True):
    """One partition: an instrument's day, or that of a family."""

    key: str
    instruments: tuple[Listed, ...]
    day: date


def asked_days(context: Context, connection: Connection) -> Iterator[PartitionDay]:
    """Every partition of the run, each with its recorded instruments."""
    members: dict[str, list[Listed]] = {}
    for one in recorded_instruments(connection):
        members.setdefault(one.partition, []).append(one)
    for key in context.partition_keys:
        names = cast("dg.MultiPartitionKey", key).keys_by_dimension
        day = date.fromisoformat(names["day"])
        yield PartitionDay(key, tuple(members.get(names["instrument"], ())), day)


def held_days(context: Context, connection: Connection) -> Iterator[PartitionDay]:
    """The same, with those of its instruments alone that have something of the day: most options have not."""
    held: dict[date, set[int]] = {}
    for one in asked_days(context, connection):
        if one.day not in held:
            held[one.day] = held_on(connection, one.day)
        yield _narrowed(one, held[one.day])


def days_held(connection: Connection, day: date) -> list[PartitionDay]:
    """Every partition that has something of the day."""
    members: dict[str, list[Listed]] = {}
    ids = held_on(connection, day)
    for one in recorded_instruments(connection):
        if one.instrument_id in ids:
            members.setdefault(one.partition, []).append(one)
    return [PartitionDay(key_of(partition, day), tuple(own), day) for partition, own in members.items()]


def _narrowed(one: PartitionDay, ids: set[int]) -> PartitionDay:
    own = tuple(each for each in one.instruments if each.instrument_id in ids)
    return PartitionDay(one.key, own, one.day)


def key_of(partition: str, day: date) -> dg.MultiPartitionKey:
    """The key of an instrument's day."""
    return dg.MultiPartitionKey({"instrument": partition, "day": day.isoformat()})


def summed(parts: list[Mapping[str, int]]) -> dict[str, Any]:
    """Counts of several instruments as of one."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0) for part in parts) for name in names}
