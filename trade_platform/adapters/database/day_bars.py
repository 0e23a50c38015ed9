"""All minutes of one instrument's day, from the table of trades in one pass, as ``bars`` computes each.

The pass groups by minute, side and kind of trade, so that no aggregate needs a filter; what opened and
closed a minute is then looked up by the trades' own key. docs/decisions/0014 has the measurements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, Final

import msgspec
from psycopg import sql

from trade_platform.adapters.database.bars import Computed
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.partitions import partition_name
from trade_platform.adapters.database.times import EPOCH, microseconds_of
from trade_platform.domain.model import Channel, QuantityUnit, TradeFlag
from trade_platform.domain.ohlc import EXACT, ZERO, Bar, Moment

_AGGREGATE: Final = int(TradeFlag.AGGREGATE)
_BLOCK: Final = int(TradeFlag.BLOCK)

# Some thousand groups, for which the planner expects millions: it would sort the day on disk. One process
# alone takes half as much of the machine as three that sort, and leaves a core to what is live.
_HASHED: Final = """
SELECT set_config('enable_sort', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)
"""
_AS_BEFORE: Final = "SET LOCAL enable_sort TO DEFAULT; SET LOCAL max_parallel_workers_per_gather TO DEFAULT"
# Flags: 1 an aggregate, 2 a block trade. date_bin is integer arithmetic, date_trunc knows time zones.
_GROUPS: Final = """
SELECT date_bin('1 minute', event_time, %(start)s) AS open_time, flags & 3 AS kind, side = 'buy' AS bought,
       count(*), count(*) + sum(last_id - first_id)::bigint,
       min(price), max(price), sum({base}), sum({quote}),
       min(first_id), max(last_id), min(sequence), max(sequence), max(event_time), max(receive_time)
FROM {partition}
WHERE instrument_id = %(instrument)s AND event_time >= %(start)s AND event_time < %(end)s
GROUP BY open_time, kind, bought
"""
_VOLUMES: Final = {
    QuantityUnit.BASE: ("quantity", "price * quantity"),
    # Cut at 13 decimals and rounded once at 12, as in ``bars``.
    QuantityUnit.QUOTE: (
        "CASE WHEN price > 0 THEN round(div(quantity * 1e13, price) * 1e-13, 12) ELSE 0 END",
        "quantity",
    ),
}
_ENDS: Final = """
SELECT n.open_time, f.event_time, f.sequence, f.price, l.event_time, l.sequence, l.price, a.receive_time
FROM unnest(%(minutes)s::timestamptz[], %(aggregate)s::int[]) AS n(open_time, aggregate)
CROSS JOIN LATERAL (
    SELECT receive_time FROM {partition}
    WHERE instrument_id = %(instrument)s AND event_time >= n.open_time
      AND event_time < n.open_time + interval '1 minute' AND flags & 1 = n.aggregate
    ORDER BY event_time, sequence LIMIT 1) a
LEFT JOIN LATERAL (
    SELECT event_time, sequence, price FROM {partition}
    WHERE instrument_id = %(instrument)s AND event_time >= n.open_time
      AND event_time < n.open_time + interval '1 minute' AND flags & 3 = n.aggregate
    ORDER BY event_time, sequence LIMIT 1) f ON true
LEFT JOIN LATERAL (
    SELECT event_time, sequence, price FROM {partition}
    WHERE instrument_id = %(instrument)s AND event_time >= n.open_time
      AND event_time < n.open_time + interval '1 minute' AND flags & 3 = n.aggregate
    ORDER BY event_time DESC, sequence DESC LIMIT 1) l ON true
"""


class Group(msgspec.Struct, frozen=True):
    """Trades of one minute that share kind and side."""

    open_time: datetime
    kind: int
    """Flags 1 (aggregate) and 2 (block trade)."""
    bought: bool
    rows: int
    trades: int
    low: Decimal
    high: Decimal
    base: Decimal
    quote: Decimal
    first_id: int
    last_id: int
    first_sequence: int
    last_sequence: int
    event_time: datetime
    receive_time: datetime


class Ends(msgspec.Struct, frozen=True):
    """What only the first and the last trade of a minute say."""

    opened: Moment | None
    """None where no trade gave a price."""
    open: Decimal | None
    closed: Moment | None
    close: Decimal | None
    first_received: int


class Day(msgspec.Struct, frozen=True):
    """The minutes with trades, ascending."""

    minutes: Sequence[Computed]
    rows: int
    """Stored trades of the day, of both channels."""


def compute_day(
    connection: Connection, instrument_id: int, day: date, unit: QuantityUnit, counting: Channel
) -> Day:
    """Every minute of the UTC day that has trades; where both channels traded in one, ``counting`` counts.

    The day's partition exists; the caller is in a transaction of one snapshot.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=EPOCH.tzinfo)
    base, quote = map(sql.SQL, _VOLUMES[unit])
    partition = sql.Identifier(partition_name("trade", day))
    statement = sql.SQL(_GROUPS).format(base=base, quote=quote, partition=partition)
    parameters = {"instrument": instrument_id, "start": start, "end": start + timedelta(days=1)}
    groups: dict[datetime, list[Group]] = defaultdict(list)
    connection.execute(_HASHED)
    for row in connection.execute(statement, parameters):
        groups[row[0]].append(Group(*row))
    connection.execute(_AS_BEFORE)
    aggregate = {minute: _aggregate(own, counting) for minute, own in groups.items()}
    ends = _ends(connection, instrument_id, partition, aggregate)
    with localcontext(EXACT):
        minutes = [_computed(groups[minute], aggregate[minute], ends[minute]) for minute in sorted(aggregate)]
    return Day(minutes, sum(group.rows for own in groups.values() for group in own))


def _aggregate(groups: Iterable[Group], counting: Channel) -> int:
    """Flag 1 of the trades that count."""
    found = {group.kind & _AGGREGATE for group in groups}
    return found.pop() if len(found) == 1 else int(counting is Channel.AGGREGATE_TRADE)


def _ends(
    connection: Connection, instrument_id: int, partition: sql.Identifier, aggregate: Mapping[datetime, int]
) -> dict[datetime, Ends]:
    minutes = sorted(aggregate)
    parameters = {
        "instrument": instrument_id,
        "minutes": minutes,
        "aggregate": [aggregate[minute] for minute in minutes],
    }
    rows = connection.execute(sql.SQL(_ENDS).format(partition=partition), parameters)
    return {row[0]: _ends_of(*row[1:]) for row in rows}


def _ends_of(
    opened: datetime | None, opened_by: int, price: Decimal | None, closed: datetime | None, *rest: Any
) -> Ends:
    closed_by, close, received = rest
    return Ends(
        opened=None if opened is None else (microseconds_of(opened), opened_by),
        open=price,
        closed=None if closed is None else (microseconds_of(closed), closed_by),
        close=close,
        first_received=microseconds_of(received),
    )


def _computed(groups: Sequence[Group], aggregate: int, ends: Ends) -> Computed:
    """In a context that is wide enough for exact sums."""
    own = [group for group in groups if group.kind & _AGGREGATE == aggregate]
    priced = [group for group in own if not group.kind & _BLOCK]
    bought = [group for group in own if group.bought]
    bar = Bar(
        open_time=microseconds_of(own[0].open_time),
        open=ends.open,
        high=max((group.high for group in priced), default=None),
        low=min((group.low for group in priced), default=None),
        close=ends.close,
        volume=sum((group.base for group in own), ZERO),
        quote_volume=sum((group.quote for group in own), ZERO),
        trades=sum(group.trades for group in own),
        taker_buy_volume=sum((group.base for group in bought), ZERO),
        taker_buy_quote_volume=sum((group.quote for group in bought), ZERO),
        first_id=min(group.first_id for group in own),
        last_id=max(group.last_id for group in own),
        first_sequence=min(group.first_sequence for group in own),
        last_sequence=max(group.last_sequence for group in own),
        opened=ends.opened,
        closed=ends.closed,
    )
    return Computed(
        bar,
        Channel.AGGREGATE_TRADE if aggregate else Channel.TRADE,
        mixed=len(own) < len(groups),
        event_time=microseconds_of(max(group.event_time for group in own)),
        receive_time=microseconds_of(max(group.receive_time for group in own)),
        first_received=ends.first_received,
    )
