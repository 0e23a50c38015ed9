"""Candles: those the exchanges report, our own, and what proves them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.adapters.database.bars import Computed, Key, keys_of
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.marks import noted, write_noted
from trade_platform.adapters.database.times import day_of, microseconds_of, moment
from trade_platform.domain.completeness import ClosedKline
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import Candle

INTERVAL: Final = "1m"
FILL_DAYS: Final = 7
"""A longer silence is not filled minute by minute here; rebuilding a day does it."""

_COLUMNS: Final = (
    ("instrument_id", "int"),
    ("interval", "text"),
    ("open_time", "timestamptz"),
    ("source", "text"),
    ("open", "numeric"),
    ("high", "numeric"),
    ("low", "numeric"),
    ("close", "numeric"),
    ("volume", "numeric"),
    ("quote_volume", "numeric"),
    ("trades", "bigint"),
    ("taker_buy_volume", "numeric"),
    ("taker_buy_quote_volume", "numeric"),
    ("first_id", "bigint"),
    ("last_id", "bigint"),
    ("complete", "boolean"),
    ("event_time", "timestamptz"),
    ("receive_time", "timestamptz"),
    ("blocks_only", "boolean"),
)
_VALUES: Final = [name for name, _ in _COLUMNS[4:]]

# What the exchange said later stays; what we compute anew replaces what it was computed from before.
_UPSERT: Final = noted(f"""
INSERT INTO candle ({", ".join(name for name, _ in _COLUMNS)})
SELECT * FROM unnest({", ".join(f"%s::{kind}[]" for _, kind in _COLUMNS)})
ON CONFLICT (instrument_id, interval, open_time, source) DO UPDATE
SET ({", ".join(_VALUES)}) = ({", ".join(f"excluded.{name}" for name in _VALUES)})
WHERE (candle.source = 'trade' OR candle.event_time <= excluded.event_time)
  AND ({", ".join(f"candle.{name}" for name in _VALUES)})
      IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _VALUES)})
""")  # noqa: S608

_EVIDENCE: Final = """
SELECT n.instrument_id, n.open_time, (
           SELECT coalesce(
               range_agg(near.held * int8multirange(int8range(n.first - 1, n.last + 2))), '{}')::text
           FROM (
               SELECT held FROM coverage c
               WHERE (c.instrument_id, c.channel, c.day) = (n.instrument_id, n.channel, n.day)
               UNION ALL
               (SELECT held FROM coverage c
                WHERE c.instrument_id = n.instrument_id AND c.channel = n.channel AND c.day < n.day
                  AND NOT isempty(c.held) ORDER BY c.day DESC LIMIT 1)
               UNION ALL
               (SELECT held FROM coverage c
                WHERE c.instrument_id = n.instrument_id AND c.channel = n.channel AND c.day > n.day
                  AND NOT isempty(c.held) ORDER BY c.day LIMIT 1)
           ) near
       ), k.complete, k.trades, k.first_id, k.last_id, k.close
FROM unnest(%s::int[], %s::timestamptz[], %s::text[], %s::date[], %s::bigint[], %s::bigint[])
     AS n(instrument_id, open_time, channel, day, first, last)
LEFT JOIN candle k ON k.instrument_id = n.instrument_id AND k.interval = '1m' AND k.open_time = n.open_time
                  AND k.source = 'exchange'
"""
# The nearest minutes with trades on either side, as far as their rows and their trades still exist.
_NEIGHBOURS: Final = """
SELECT n.instrument_id, p.open_time, p.complete, x.open_time
FROM unnest(%(instruments)s::int[], %(minutes)s::timestamptz[]) AS n(instrument_id, open_time)
LEFT JOIN LATERAL (
    SELECT open_time, complete FROM candle c
    WHERE c.instrument_id = n.instrument_id AND c.interval = '1m' AND c.source = 'trade' AND c.trades > 0
      AND c.open_time < n.open_time AND c.open_time >= n.open_time - %(reach)s::interval
    ORDER BY c.open_time DESC LIMIT 1) p
    ON to_regclass(to_char(p.open_time AT TIME ZONE 'UTC', '"trade_"YYYYMMDD')) IS NOT NULL
LEFT JOIN LATERAL (
    SELECT open_time FROM candle c
    WHERE c.instrument_id = n.instrument_id AND c.interval = '1m' AND c.source = 'trade' AND c.trades > 0
      AND c.open_time > n.open_time AND c.open_time <= n.open_time + %(reach)s::interval
    ORDER BY c.open_time LIMIT 1) x
    ON to_regclass(to_char(x.open_time AT TIME ZONE 'UTC', '"trade_"YYYYMMDD')) IS NOT NULL
"""
# From a minute with trades: the fillers between are given their price afterwards.
_PRICE_FROM_BEFORE: Final = noted("""
UPDATE candle c SET (open, high, low, close) = (SELECT p.close, p.close, p.close, p.close)
FROM (
    SELECT close FROM candle
    WHERE instrument_id = %(instrument)s AND interval = '1m' AND source = 'trade' AND open_time < %(minute)s
      AND trades > 0 AND close IS NOT NULL
    ORDER BY open_time DESC LIMIT 1) p
WHERE c.instrument_id = %(instrument)s AND c.interval = '1m' AND c.source = 'trade'
  AND c.open_time = %(minute)s
  AND c.close IS DISTINCT FROM p.close
""")
_FILL: Final = noted("""
INSERT INTO candle (instrument_id, interval, open_time, source, open, high, low, close, volume, quote_volume,
                    trades, taker_buy_volume, taker_buy_quote_volume, complete, receive_time)
SELECT n.instrument_id, '1m', minute, 'trade', p.close, p.close, p.close, p.close, 0, 0, 0, 0, 0, true,
       n.receive_time
FROM unnest(%(instruments)s::int[], %(minutes)s::timestamptz[], %(received)s::timestamptz[])
     AS n(instrument_id, open_time, receive_time)
CROSS JOIN LATERAL (
    SELECT open_time, close FROM candle c
    WHERE c.instrument_id = n.instrument_id AND c.interval = '1m' AND c.source = 'trade' AND c.trades > 0
      AND c.open_time < n.open_time AND c.open_time >= n.open_time - %(reach)s::interval
    ORDER BY c.open_time DESC LIMIT 1) p
CROSS JOIN LATERAL generate_series(
    p.open_time + interval '1 minute', n.open_time - interval '1 minute', interval '1 minute') AS minute
WHERE p.close IS NOT NULL
ON CONFLICT (instrument_id, interval, open_time, source) DO UPDATE
SET (open, high, low, close, complete, receive_time)
  = (excluded.open, excluded.high, excluded.low, excluded.close, true, excluded.receive_time)
WHERE candle.trades = 0
  AND (candle.close, candle.complete, candle.receive_time)
      IS DISTINCT FROM (excluded.close, true, excluded.receive_time)
""")
_LAST_CLOSES: Final = """
SELECT n.instrument_id, n.open_time, (
    SELECT close FROM candle c
    WHERE c.instrument_id = n.instrument_id AND c.interval = '1m' AND c.source = 'trade'
      AND c.open_time < n.open_time AND c.open_time >= n.open_time - %(reach)s::interval
    ORDER BY c.open_time DESC LIMIT 1)
FROM unnest(%(instruments)s::int[], %(minutes)s::timestamptz[]) AS n(instrument_id, open_time)
"""
# Minutes after these that the exchange calls empty and that have no row of ours.
_CALLED_EMPTY: Final = """
SELECT k.instrument_id, k.open_time, k.trades, k.first_id, k.last_id, k.close, k.receive_time
FROM unnest(%(instruments)s::int[], %(minutes)s::timestamptz[]) AS n(instrument_id, open_time)
JOIN candle k ON k.instrument_id = n.instrument_id AND k.interval = '1m' AND k.source = 'exchange'
             AND k.open_time > n.open_time AND k.open_time <= n.open_time + %(reach)s::interval
WHERE k.complete AND k.trades = 0
  AND NOT EXISTS (SELECT FROM candle c WHERE c.instrument_id = k.instrument_id AND c.interval = '1m'
                  AND c.source = 'trade' AND c.open_time = k.open_time)
"""
_PROVEN: Final = """
SELECT instrument_id, open_time FROM candle
JOIN unnest(%s::int[], %s::timestamptz[]) AS n(instrument_id, open_time) USING (instrument_id, open_time)
WHERE interval = '1m' AND source = 'trade' AND complete
"""
_MINUTES_OF: Final = """
SELECT instrument_id, open_time FROM candle
WHERE instrument_id = ANY(%s) AND interval = '1m' AND source = 'trade' AND trades > 0
  AND to_regclass(to_char(open_time AT TIME ZONE 'UTC', '"trade_"YYYYMMDD')) IS NOT NULL
"""
_INSERT_EMPTY: Final = noted("""
INSERT INTO candle (instrument_id, interval, open_time, source, open, high, low, close, volume, quote_volume,
                    trades, taker_buy_volume, taker_buy_quote_volume, complete, receive_time)
SELECT instrument_id, '1m', open_time, 'trade', close, close, close, close, 0, 0, 0, 0, 0, true, receive_time
FROM unnest(%s::int[], %s::timestamptz[], %s::numeric[], %s::timestamptz[])
     AS n(instrument_id, open_time, close, receive_time)
ON CONFLICT DO NOTHING
""")


class Neighbours(msgspec.Struct, frozen=True):
    """The nearest minutes with trades around one."""

    before: int | None
    before_complete: bool
    after: int | None


def write_exchange_candles(connection: Connection, candles: Mapping[int, Sequence[Candle]]) -> int:
    """Store the closed ones (by instrument_id); of one minute the newest event stays."""
    newest: dict[tuple[int, str, int], Candle] = {}
    for instrument_id, own in candles.items():
        for candle in own:
            key = (instrument_id, candle.interval, candle.open_time)
            if candle.closed and (key not in newest or newest[key].event_time <= candle.event_time):
                newest[key] = candle
    rows = [
        (
            *(key[0], key[1], moment(key[2]), "exchange", c.open, c.high, c.low, c.close, c.volume),
            *(c.quote_volume, c.trades, c.taker_buy_volume, c.taker_buy_quote_volume, c.first_id, c.last_id),
            *(True, moment(c.event_time), moment(c.receive_time), False),
        )
        for key, c in sorted(newest.items())
    ]
    return upsert(connection, rows)


def write_bars(connection: Connection, computed: Iterable[tuple[int, Computed, bool]]) -> int:
    """Store our own minutes: (instrument_id, what was computed, complete)."""
    rows = [
        (
            *(instrument_id, INTERVAL, moment(c.bar.open_time), "trade"),
            *(c.bar.open, c.bar.high, c.bar.low, c.bar.close, c.bar.volume, c.bar.quote_volume, c.bar.trades),
            *(c.bar.taker_buy_volume, c.bar.taker_buy_quote_volume, c.bar.first_id, c.bar.last_id),
            *(complete, moment(c.event_time), moment(c.receive_time), not c.bar.priced),
        )
        for instrument_id, c, complete in computed
    ]
    return upsert(connection, rows)


def load_evidence(
    connection: Connection, computed: Mapping[Key, Computed]
) -> dict[Key, tuple[Ranges, ClosedKline | None]]:
    """What is held around each minute's numbers, and the exchange's closed candle of it."""
    items = sorted(computed.items())
    rows = connection.execute(
        _EVIDENCE,
        (
            [key[0] for key, _ in items],
            [moment(key[1]) for key, _ in items],
            [str(c.channel) for _, c in items],
            [day_of(key[1]) for key, _ in items],
            [c.bar.first_sequence for _, c in items],
            [c.bar.last_sequence for _, c in items],
        ),
    )
    return {
        (instrument_id, microseconds_of(open_time)): (
            Ranges.from_text(held),
            ClosedKline(trades, first_id, last_id, close) if closed else None,
        )
        for instrument_id, open_time, held, closed, trades, first_id, last_id, close in rows
    }


def load_neighbours(connection: Connection, minutes: Collection[Key]) -> list[tuple[int, Neighbours]]:
    """(instrument_id, what is around) of each minute."""
    rows = connection.execute(_NEIGHBOURS, {**keys_of(minutes), "reach": timedelta(days=FILL_DAYS)})
    return [
        (instrument_id, Neighbours(_optional(before), bool(complete), _optional(after)))
        for instrument_id, before, complete, after in rows
    ]


def price_from_before(connection: Connection, key: Key) -> None:
    """A minute of block trades alone has the close of the minute before it."""
    write_noted(connection, _PRICE_FROM_BEFORE, {"instrument": key[0], "minute": moment(key[1])})


def fill_before(connection: Connection, minutes: Mapping[Key, int]) -> int:
    """Rows for the empty minutes before each of these; the value is when their emptiness was proven."""
    keys = sorted(minutes)
    parameters = {
        **keys_of(keys),
        "received": [moment(minutes[key]) for key in keys],
        "reach": timedelta(days=FILL_DAYS),
    }
    return write_noted(connection, _FILL, parameters)


def load_last_closes(connection: Connection, minutes: Collection[Key]) -> dict[Key, Decimal | None]:
    """The close that each minute would begin with."""
    rows = connection.execute(_LAST_CLOSES, {**keys_of(minutes), "reach": timedelta(days=FILL_DAYS)})
    return {(instrument_id, microseconds_of(open_time)): close for instrument_id, open_time, close in rows}


def load_called_empty(connection: Connection, minutes: Collection[Key]) -> dict[Key, tuple[ClosedKline, int]]:
    """Klines without trades after these minutes, where we have no row: (what they say, when they came)."""
    rows = connection.execute(_CALLED_EMPTY, {**keys_of(minutes), "reach": timedelta(days=FILL_DAYS)})
    return {
        (instrument_id, microseconds_of(open_time)): (ClosedKline(*said), microseconds_of(received))
        for instrument_id, open_time, *said, received in rows
    }


def write_empty(connection: Connection, minutes: Mapping[Key, tuple[Decimal, int]]) -> int:
    """Rows of minutes that the exchange itself calls empty: (close, when it said so)."""
    items = sorted(minutes.items())
    columns = (
        [key[0] for key, _ in items],
        [moment(key[1]) for key, _ in items],
        [close for _, (close, _) in items],
        [moment(received) for _, (_, received) in items],
    )
    return write_noted(connection, _INSERT_EMPTY, columns)


def proven(connection: Connection, minutes: Collection[Key]) -> set[Key]:
    """Those of our minutes that are stored as complete."""
    keys = keys_of(minutes)
    rows = connection.execute(_PROVEN, (keys["instruments"], keys["minutes"]))
    return {(instrument_id, microseconds_of(open_time)) for instrument_id, open_time in rows}


def minutes_of(connection: Connection, instruments: Collection[int]) -> set[Key]:
    """Every stored minute with trades of these instruments."""
    return {
        (instrument_id, microseconds_of(open_time))
        for instrument_id, open_time in connection.execute(_MINUTES_OF, (sorted(instruments),))
    }


def upsert(connection: Connection, rows: Sequence[Sequence[object]]) -> int:
    """Store these candles, each in the order of the table's columns; returns those that changed."""
    if not rows:
        return 0
    return write_noted(connection, _UPSERT, [list(column) for column in zip(*rows, strict=True)])


def _optional(value: datetime | None) -> int | None:
    return None if value is None else microseconds_of(value)
