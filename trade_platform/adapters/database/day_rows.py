"""What a day's minutes hang on beside their own trades, and the writing of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from psycopg import sql

from trade_platform.adapters.database.bars import Computed, Key, compute_bars
from trade_platform.adapters.database.candles import load_evidence, upsert
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.partitions import partition_name
from trade_platform.adapters.database.times import EPOCH, microseconds_of, moment, optional_moment
from trade_platform.domain.candle_day import Around, Judged, Row
from trade_platform.domain.completeness import ClosedKline, follows, is_complete
from trade_platform.domain.model import DAY, Channel, QuantityUnit

_UNIT: Final = "SELECT quantity_unit FROM instrument WHERE instrument_id = %s"
_PARTITION: Final = "SELECT to_regclass(to_char(%s::date, '\"trade_\"YYYYMMDD')) IS NOT NULL"
# Nothing was ever held of a day without a table, or what was held is gone.
_DROPPED: Final = """
SELECT EXISTS (SELECT FROM coverage WHERE instrument_id = %(instrument)s AND day = %(day)s
               AND NOT isempty(held))
    OR EXISTS (SELECT FROM candle WHERE instrument_id = %(instrument)s AND interval = '1m'
               AND source = 'trade' AND open_time >= %(start)s AND open_time < %(end)s AND trades > 0)
"""
_OWN_DAY: Final = """
instrument_id = %(instrument)s AND interval = '1m'
AND open_time >= %(start)s AND open_time < %(end)s
"""
# The channel that recorded last is the one whose numbers count where both did.
_COUNTING: Final = """
SELECT t.flags & 1 FROM (
    SELECT day FROM coverage WHERE instrument_id = %(instrument)s AND NOT isempty(held)
    ORDER BY day DESC LIMIT 1) c
CROSS JOIN LATERAL (
    SELECT flags FROM trade
    WHERE instrument_id = %(instrument)s AND event_time >= c.day::timestamp AT TIME ZONE 'UTC'
      AND event_time < (c.day + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY event_time DESC, sequence DESC LIMIT 1) t
"""
# Where the trades before the day are held, the price before it is theirs: their minute has its row.
_CLOSE_BEFORE: Final = """
SELECT close FROM candle
WHERE instrument_id = %(instrument)s AND interval = '1m' AND source = 'trade' AND open_time < %(start)s
  AND trades > 0 AND close IS NOT NULL
  AND (%(minute)s::timestamptz IS NULL OR EXISTS (
      SELECT FROM candle l WHERE l.instrument_id = %(instrument)s AND l.interval = '1m'
      AND l.source = 'trade' AND l.open_time = %(minute)s AND l.trades > 0))
ORDER BY open_time DESC LIMIT 1
"""
_DAY_BEFORE: Final = """
SELECT day FROM coverage
WHERE instrument_id = %(instrument)s AND day < %(day)s AND NOT isempty(held) ORDER BY day DESC LIMIT 1
"""
_DAY_AFTER: Final = """
SELECT day FROM coverage
WHERE instrument_id = %(instrument)s AND day > %(day)s AND NOT isempty(held) ORDER BY day LIMIT 1
"""
_FIRST: Final = """
SELECT date_trunc('minute', event_time) FROM {partition} WHERE instrument_id = %s
ORDER BY event_time LIMIT 1
"""
_LAST: Final = """
SELECT date_trunc('minute', event_time) FROM {partition} WHERE instrument_id = %s
ORDER BY event_time DESC LIMIT 1
"""
_EMPTY: Final = f"""
SELECT open_time, trades, first_id, last_id, close, receive_time FROM candle
WHERE {_OWN_DAY} AND source = 'exchange' AND complete AND trades = 0
"""  # noqa: S608 - constants of our own, here and below
_FILLERS: Final = f"SELECT open_time, close FROM candle WHERE {_OWN_DAY} AND source = 'trade' AND trades = 0"  # noqa: S608
_HELD: Final = f"""
SELECT count(*), count(*) FILTER (WHERE complete) FROM candle WHERE {_OWN_DAY} AND source = 'trade'
"""  # noqa: S608


class UnknownInstrument(Exception):
    """There is no such instrument; the sentence names its number."""


def load_unit(connection: Connection, instrument_id: int) -> QuantityUnit:
    """What the instrument's quantities count; raises UnknownInstrument."""
    row = connection.execute(_UNIT, (instrument_id,)).fetchone()
    if row is None:
        raise UnknownInstrument(f"there is no instrument with the number {instrument_id}")
    return QuantityUnit(row[0])


def has_trades_table(connection: Connection, day: date) -> bool:
    """The day's partition of trades exists: never recorded or dropped days have none."""
    row = connection.execute(_PARTITION, (day,)).fetchone()
    return row is not None and bool(row[0])


def was_dropped(connection: Connection, instrument_id: int, day: date) -> bool:
    """Of a day without a table of trades: the instrument's trades of it were held once."""
    row = connection.execute(_DROPPED, names_of_day(instrument_id, day)).fetchone()
    return row is not None and bool(row[0])


def counting_channel(connection: Connection, instrument_id: int) -> Channel:
    """The channel of the instrument's newest trade."""
    row = connection.execute(_COUNTING, {"instrument": instrument_id}).fetchone()
    return Channel.TRADE if row is not None and row[0] == 0 else Channel.AGGREGATE_TRADE


def judge(connection: Connection, instrument_id: int, minutes: Iterable[Computed]) -> list[Judged]:
    """By the same evidence as the minutes that a processor closes."""
    computed = {(instrument_id, one.bar.open_time): one for one in minutes}
    evidence = load_evidence(connection, computed)
    return [
        Judged(
            bar=one.bar,
            complete=is_complete(one.minute, *evidence[key]),
            follows=follows(one.minute, evidence[key][0]),
            event_time=one.event_time,
            receive_time=one.receive_time,
            first_received=one.first_received,
        )
        for key, one in computed.items()
    ]


def load_around(
    connection: Connection, instrument_id: int, day: date, unit: QuantityUnit, counting: Channel
) -> Around:
    """What the day's rows hang on beside its trades."""
    asked = names_of_day(instrument_id, day)
    last = _minute_beside(connection, instrument_id, day, _DAY_BEFORE, _LAST)
    close = connection.execute(_CLOSE_BEFORE, {**asked, "minute": last}).fetchone()
    empty = connection.execute(_EMPTY, asked).fetchall()
    fillers = connection.execute(_FILLERS, asked).fetchall()
    return Around(
        close=close[0] if close else None,
        after=_after(connection, instrument_id, day, unit, counting),
        empty={microseconds_of(at): (ClosedKline(*said), microseconds_of(came)) for at, *said, came in empty},
        fillers={microseconds_of(at): price for at, price in fillers},
    )


def write_day(connection: Connection, instrument_id: int, rows: Iterable[Row]) -> int:
    """Store the rows that differ from what is stored; returns how many."""
    return upsert(connection, [_values(instrument_id, row) for row in rows])


def count_day(connection: Connection, instrument_id: int, day: date) -> tuple[int, int]:
    """(stored minutes of our own, the complete ones)."""
    row = connection.execute(_HELD, names_of_day(instrument_id, day)).fetchone()
    assert row is not None
    return row[0], row[1]


def start_of(day: date) -> int:
    """Microseconds UTC."""
    return (day - EPOCH.date()).days * DAY


def names_of_day(instrument_id: int, day: date) -> dict[str, Any]:
    """Parameters that name the day's rows."""
    start = start_of(day)
    return {"instrument": instrument_id, "day": day, "start": moment(start), "end": moment(start + DAY)}


def _after(
    connection: Connection, instrument_id: int, day: date, unit: QuantityUnit, counting: Channel
) -> Judged | None:
    minute = _minute_beside(connection, instrument_id, day, _DAY_AFTER, _FIRST)
    if minute is None:
        return None
    key: Key = (instrument_id, microseconds_of(minute))
    found = compute_bars(connection, [key], {instrument_id: unit}, {instrument_id: counting})
    return judge(connection, instrument_id, found.values())[0]


def _minute_beside(
    connection: Connection, instrument_id: int, day: date, beside: str, which: str
) -> datetime | None:
    """The minute of the last trade before the day, or of the first after it, as far as that is still held."""
    row = connection.execute(beside, {"instrument": instrument_id, "day": day}).fetchone()
    if row is None or not has_trades_table(connection, row[0]):
        return None
    statement = sql.SQL(which).format(partition=sql.Identifier(partition_name("trade", row[0])))
    found = connection.execute(statement, (instrument_id,)).fetchone()
    return found[0] if found else None


def _values(instrument_id: int, row: Row) -> Sequence[Any]:
    bar = row.bar
    prices: tuple[Decimal | None, ...] = (bar.open, bar.high, bar.low, bar.close)
    return (
        *(instrument_id, "1m", moment(bar.open_time), "trade", *prices, bar.volume, bar.quote_volume),
        *(bar.trades, bar.taker_buy_volume, bar.taker_buy_quote_volume, bar.first_id, bar.last_id),
        *(row.complete, optional_moment(row.event_time), moment(row.receive_time), row.blocks_only),
    )
