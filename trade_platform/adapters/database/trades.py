"""Trades: what coverage does not hold yet is copied straight into the day's partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
from psycopg import sql

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.coverage import Key, extend_coverage, lock_coverage
from trade_platform.adapters.database.partitions import partition_name
from trade_platform.adapters.database.times import day_of, moment
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, Channel, Trade, TradeFlag

_COPY: Final = """
COPY {partition} (instrument_id, event_time, sequence, price, quantity, side, first_id, last_id, flags,
                  trade_id, mark_price, index_price, iv, receive_time)
FROM STDIN (FORMAT binary)
"""
_TYPES: Final = (
    *("int4", "timestamptz", "int8", "numeric", "numeric", "text", "int8", "int8", "int2"),
    *("text", "numeric", "numeric", "numeric", "timestamptz"),
)  # an enum's binary form is its text
_AGGREGATE: Final = int(TradeFlag.AGGREGATE)


class Written(msgspec.Struct, frozen=True):
    """What of a batch was new."""

    new: Mapping[Key, Sequence[Trade]]
    duplicates: int

    @property
    def rows(self) -> int:
        return sum(map(len, self.new.values()))


def channel_of(trade: Trade) -> Channel:
    """Which sequence its number belongs to."""
    return Channel.AGGREGATE_TRADE if trade.flags & _AGGREGATE else Channel.TRADE


def days_of_trades(trades: Sequence[Trade]) -> set[date]:
    """The days that these fall on."""
    return {day_of(day * DAY) for day in {trade.event_time // DAY for trade in trades}}


def write_trades(
    connection: Connection,
    trades: Mapping[int, Sequence[Trade]],
    begun: set[Key],
    *,
    subtract: bool = True,
) -> Written:
    """Store what is new of these trades (by instrument_id) and note it in coverage.

    Without ``subtract`` all of them are taken for new: a rehearsal of what coverage is for.

    In the caller's transaction; the partitions of their days exist.
    """
    batch: dict[Key, dict[int, Trade]] = {}
    for instrument_id, own in trades.items():
        _sort_in(batch, instrument_id, own)
    ranges = {key: Ranges.of(by_sequence) for key, by_sequence in batch.items()}
    held = lock_coverage(connection, ranges, begun)
    if not subtract:
        held = {}
    new = {key: _without(by_sequence, held.get(key)) for key, by_sequence in batch.items()}
    new = {key: own for key, own in new.items() if own}
    _copy(connection, new)
    added = {key: ranges[key] - held[key] if key in held else ranges[key] for key in new}
    if added:
        extend_coverage(connection, added)
    count = sum(map(len, trades.values()))
    return Written(new, count - sum(map(len, new.values())))


def _sort_in(batch: dict[Key, dict[int, Trade]], instrument_id: int, trades: Sequence[Trade]) -> None:
    """By channel, day and sequence; of a number that comes twice the first stays."""
    parts: dict[tuple[int, int], dict[int, Trade]] = {}
    for trade in trades:
        part = (trade.flags & _AGGREGATE, trade.event_time // DAY)
        by_sequence = parts.get(part)
        if by_sequence is None:
            by_sequence = parts[part] = {}
        by_sequence.setdefault(trade.sequence, trade)
    for (aggregate, day), by_sequence in parts.items():
        channel = Channel.AGGREGATE_TRADE if aggregate else Channel.TRADE
        batch[instrument_id, str(channel), day_of(day * DAY)] = by_sequence


def _without(by_sequence: Mapping[int, Trade], held: Ranges | None) -> list[Trade]:
    if held is None:
        return list(by_sequence.values())
    return [trade for sequence, trade in by_sequence.items() if sequence not in held]


def _copy(connection: Connection, new: Mapping[Key, Sequence[Trade]]) -> None:
    for day in sorted({key[2] for key in new}):
        statement = sql.SQL(_COPY).format(partition=sql.Identifier(partition_name("trade", day)))
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(_TYPES)
            for (instrument_id, _, of_day), trades in new.items():
                if of_day != day:
                    continue
                for trade in trades:
                    if trade.flags >> 15:  # psycopg would cut it to sixteen bits
                        raise OverflowError(f"{trade.flags} is no set of flags")
                    copy.write_row(
                        (
                            instrument_id,
                            moment(trade.event_time),
                            trade.sequence,
                            trade.price,
                            trade.quantity,
                            trade.side.value,
                            trade.first_id,
                            trade.last_id,
                            trade.flags,
                            trade.trade_id,
                            trade.mark_price,
                            trade.index_price,
                            trade.iv,
                            moment(trade.receive_time),
                        )
                    )
