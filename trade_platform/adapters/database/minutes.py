"""Our own minutes, made from the table of trades: computed, judged, stored; their neighbours too.

Whoever adds trades names the minutes that they touched; nothing else is read. A minute's proof may hang
on its neighbour (the number before its first trade, the number after its last), so an incomplete minute
before is judged again, and the empty minutes between are filled when nothing can lie in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.adapters.database.bars import Computed, Key, compute_bars
from trade_platform.adapters.database.candles import (
    fill_before,
    load_called_empty,
    load_evidence,
    load_last_closes,
    load_neighbours,
    price_from_before,
    write_bars,
    write_empty,
)
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import microseconds_of
from trade_platform.domain.completeness import ClosedKline, follows, is_complete, is_empty
from trade_platform.domain.model import Channel, QuantityUnit

CHAIN: Final = 100
"""Minutes of block trades alone hand their price on; after so many in a row the rest waits for its turn."""

# The newest trade of each instrument, where its coverage says that trades are recorded.
_NEWEST: Final = """
SELECT i.instrument_id, i.symbol, i.quantity_unit, t.flags & 1, date_trunc('minute', t.event_time),
       EXISTS (SELECT FROM candle k WHERE k.instrument_id = i.instrument_id AND k.interval = '1m'
               AND k.source = 'trade' AND k.open_time = date_trunc('minute', t.event_time))
FROM instrument i
CROSS JOIN LATERAL (
    SELECT day FROM coverage c WHERE c.instrument_id = i.instrument_id AND NOT isempty(c.held)
    ORDER BY day DESC LIMIT 1) c
CROSS JOIN LATERAL (
    SELECT event_time, flags FROM trade
    WHERE trade.instrument_id = i.instrument_id AND event_time >= c.day::timestamp AT TIME ZONE 'UTC'
      AND event_time < (c.day + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY event_time DESC, sequence DESC LIMIT 1) t
WHERE i.exchange = %s
"""


class Newest(msgspec.Struct, frozen=True):
    """Where an instrument's trades end."""

    instrument_id: int
    symbol: str
    unit: QuantityUnit
    channel: Channel
    minute: int
    written: bool
    """The minute has its row already."""


def load_newest(connection: Connection, exchange: str) -> list[Newest]:
    """Of every instrument of the exchange whose trades are recorded."""
    return [
        Newest(
            instrument_id,
            symbol,
            QuantityUnit(unit),
            Channel.AGGREGATE_TRADE if aggregate else Channel.TRADE,
            microseconds_of(minute),
            written,
        )
        for instrument_id, symbol, unit, aggregate, minute, written in connection.execute(
            _NEWEST, (exchange,)
        )
    ]


def materialise(
    connection: Connection,
    closed: set[Key],
    begun: set[Key],
    units: Mapping[int, QuantityUnit],
    channels: Mapping[int, Channel],
) -> int:
    """Store these closed minutes as their trades make them; returns the rows that changed.

    ``begun`` are running minutes of the same instruments: they get no row, but what they prove of the
    empty minutes before them counts.
    """
    todo, rows = set(closed), 0
    for turn in range(CHAIN):
        computed = compute_bars(connection, todo | begun, units, channels)
        rows += _store(connection, computed, begun)
        unpriced = {key for key in todo if key in computed and not computed[key].bar.priced}
        todo = _around(connection, closed) - closed if turn == 0 else set()
        todo = (todo | _after(connection, unpriced)) - begun
        if not todo:
            break
    return rows


def fill_empty(connection: Connection, klines: Mapping[Key, tuple[ClosedKline, int]]) -> int:
    """Rows for minutes that the exchange calls empty, where our price before them is the exchange's."""
    last = load_last_closes(connection, klines)
    empty: dict[Key, tuple[Decimal, int]] = {}
    for key, (kline, received) in klines.items():
        close = last.get(key)
        if close is not None and is_empty(kline, close):
            empty[key] = close, received
    return write_empty(connection, empty) if empty else 0


def _store(connection: Connection, computed: Mapping[Key, Computed], begun: set[Key]) -> int:
    evidence = load_evidence(connection, computed)
    rows = write_bars(
        connection,
        (
            (key[0], one, is_complete(one.minute, *evidence[key]))
            for key, one in computed.items()
            if key not in begun
        ),
    )
    for key in sorted(key for key, one in computed.items() if not one.bar.priced and key not in begun):
        price_from_before(connection, key)
    proofs = {
        key: one.first_received for key, one in computed.items() if follows(one.minute, evidence[key][0])
    }
    rows += fill_before(connection, proofs) if proofs else 0
    called = load_called_empty(connection, [key for key in computed if key not in begun])
    return rows + (fill_empty(connection, called) if called else 0)


def _around(connection: Connection, minutes: set[Key]) -> set[Key]:
    """Neighbours whose proof or fillers may hang on these."""
    found: set[Key] = set()
    for instrument_id, around in load_neighbours(connection, minutes):
        if around.before is not None and not around.before_complete:
            found.add((instrument_id, around.before))
        if around.after is not None:
            found.add((instrument_id, around.after))
    return found


def _after(connection: Connection, unpriced: set[Key]) -> set[Key]:
    """Minutes that continue from ones without a price of their own, which have just got another."""
    if not unpriced:
        return set()
    return {
        (instrument_id, around.after)
        for instrument_id, around in load_neighbours(connection, unpriced)
        if around.after is not None
    }
