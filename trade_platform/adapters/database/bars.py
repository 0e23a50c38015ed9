"""One-minute bars computed by PostgreSQL from the table of trades, exactly as ``domain/ohlc`` does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec
from psycopg import sql

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.partitions import partition_name
from trade_platform.adapters.database.times import day_of, microseconds_of, moment
from trade_platform.domain.completeness import Minute
from trade_platform.domain.model import Channel, QuantityUnit
from trade_platform.domain.ohlc import Bar

Key: TypeAlias = tuple[int, int]
"""(instrument_id, open_time in microseconds UTC)."""

# One pass over the index per minute. Prices of block trades (flag 2) are left out, their volume is not.
# Base volume of contracts that count quote currency: the quotient is cut at 13 decimals by div() and then
# rounded once at 12, exactly as domain/ohlc does; numeric division alone would round twice.
_BARS: Final = """
SELECT n.instrument_id, n.open_time, b.*
FROM unnest(%(instruments)s::int[], %(minutes)s::timestamptz[], %(in_quote)s::bool[], %(aggregate)s::int[])
     AS n(instrument_id, open_time, in_quote, aggregate)
CROSS JOIN LATERAL (
    SELECT min(t.flags & 1) AS lowest_channel, max(t.flags & 1) AS highest_channel,
           array_agg(t.price ORDER BY t.event_time, t.sequence) FILTER (WHERE t.flags & 2 = 0) AS prices,
           min(t.price) FILTER (WHERE t.flags & 2 = 0) AS low,
           max(t.price) FILTER (WHERE t.flags & 2 = 0) AS high,
           array_agg(t.sequence ORDER BY t.event_time, t.sequence)
               FILTER (WHERE t.flags & 2 = 0) AS sequences,
           min(t.event_time) FILTER (WHERE t.flags & 2 = 0) AS opened,
           max(t.event_time) FILTER (WHERE t.flags & 2 = 0) AS closed,
           sum(t.base) AS volume, sum(t.quote) AS quote_volume,
           sum(t.last_id - t.first_id + 1)::bigint AS trades,
           sum(t.base) FILTER (WHERE t.side = 'buy') AS taker_buy_volume,
           sum(t.quote) FILTER (WHERE t.side = 'buy') AS taker_buy_quote_volume,
           min(t.first_id) AS first_id, max(t.last_id) AS last_id,
           min(t.sequence) AS first_sequence, max(t.sequence) AS last_sequence,
           max(t.event_time) AS event_time, max(t.receive_time) AS receive_time,
           array_agg(t.receive_time ORDER BY t.event_time, t.sequence) AS receive_times
    FROM (
        SELECT *,
               CASE WHEN NOT n.in_quote THEN quantity
                    WHEN price > 0 THEN round(div(quantity * 1e13, price) * 1e-13, 12)
                    ELSE 0 END AS base,
               CASE WHEN n.in_quote THEN quantity ELSE price * quantity END AS quote
        FROM {partition}
        WHERE instrument_id = n.instrument_id AND event_time >= n.open_time
          AND event_time < n.open_time + interval '1 minute'
          AND (n.aggregate IS NULL OR flags & 1 = n.aggregate)
        ORDER BY event_time, sequence
    ) t
) b
WHERE b.first_id IS NOT NULL
"""
_BAR_COLUMNS: Final = """
SELECT instrument_id, open_time, lowest_channel, highest_channel, prices[1], high, low,
       prices[cardinality(prices)], volume, quote_volume, trades, taker_buy_volume, taker_buy_quote_volume,
       first_id, last_id, first_sequence, last_sequence, opened, sequences[1], closed,
       sequences[cardinality(sequences)], event_time, receive_time, receive_times[1]
FROM ({bars}) bar
"""


class Computed(msgspec.Struct, frozen=True):
    """One minute as the table of trades makes it."""

    bar: Bar
    channel: Channel
    mixed: bool
    """Trades of both channels lie in it, and both were counted."""
    event_time: int
    receive_time: int
    first_received: int
    """When its first trade came, which ended the silence before it."""

    @property
    def minute(self) -> Minute:
        bar = self.bar
        assert bar.first_sequence is not None
        assert bar.last_sequence is not None
        assert bar.first_id is not None
        assert bar.last_id is not None
        return Minute(bar.first_sequence, bar.last_sequence, bar.first_id, bar.last_id)


def compute_bars(
    connection: Connection,
    minutes: Collection[Key],
    units: Mapping[int, QuantityUnit],
    channels: Mapping[int, Channel],
) -> dict[Key, Computed]:
    """The minutes that have trades; where both channels traded, ``channels`` says which counts.

    Aggregate trades do where it says nothing.
    """
    found = _compute(connection, minutes, units, {})
    mixed = {key for key, computed in found.items() if computed.mixed}
    if mixed:
        counting = {key[0]: found[key].channel for key in mixed} | dict(channels)
        found.update(_compute(connection, mixed, units, counting))
    return found


def keys_of(minutes: Collection[Key]) -> dict[str, list[int] | list[datetime]]:
    """As two columns, in order."""
    ordered = sorted(minutes)
    return {
        "instruments": [instrument_id for instrument_id, _ in ordered],
        "minutes": [moment(open_time) for _, open_time in ordered],
    }


def _compute(
    connection: Connection,
    minutes: Collection[Key],
    units: Mapping[int, QuantityUnit],
    channels: Mapping[int, Channel],
) -> dict[Key, Computed]:
    by_day: dict[date, list[Key]] = {}
    for key in sorted(minutes):
        by_day.setdefault(day_of(key[1]), []).append(key)
    found: dict[Key, Computed] = {}
    for day, keys in by_day.items():
        bars = sql.SQL(_BARS).format(partition=sql.Identifier(partition_name("trade", day)))
        statement = sql.SQL(_BAR_COLUMNS).format(bars=bars)
        parameters = {
            **keys_of(keys),
            "in_quote": [units[key[0]] is QuantityUnit.QUOTE for key in keys],
            "aggregate": [_aggregate(channels.get(key[0])) for key in keys],
        }
        for row in connection.execute(statement, parameters):
            found[row[0], microseconds_of(row[1])] = _computed(row)
    return found


def _aggregate(channel: Channel | None) -> int | None:
    return None if channel is None else int(channel is Channel.AGGREGATE_TRADE)


def _computed(row: Sequence[Any]) -> Computed:
    _, open_time, lowest, highest, *rest = row
    (open_, high, low, close, volume, quote_volume, trades, taker, taker_quote, first_id, last_id) = rest[:11]
    (
        first_sequence,
        last_sequence,
        opened,
        opened_by,
        closed,
        closed_by,
        event_time,
        received,
        first_received,
    ) = rest[11:]
    bar = Bar(
        open_time=microseconds_of(open_time),
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        quote_volume=quote_volume,
        trades=trades,
        taker_buy_volume=Decimal(0) if taker is None else taker,
        taker_buy_quote_volume=Decimal(0) if taker_quote is None else taker_quote,
        first_id=first_id,
        last_id=last_id,
        first_sequence=first_sequence,
        last_sequence=last_sequence,
        opened=None if opened is None else (microseconds_of(opened), opened_by),
        closed=None if closed is None else (microseconds_of(closed), closed_by),
    )
    return Computed(
        bar,
        Channel.AGGREGATE_TRADE if highest else Channel.TRADE,
        lowest != highest,
        microseconds_of(event_time),
        microseconds_of(received),
        microseconds_of(first_received),
    )
