"""Sessions of trades over several days, and what the table of candles holds of them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.processors.feeding import NOON, kline, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import day_of
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE, Candle, Side, Trade, TradeFlag

MIDNIGHT = NOON // DAY * DAY
SECOND = MICROSECONDS
LATER = NOON + 30 * DAY
"""Everything is over by then."""
AGGREGATE, BLOCK = int(TradeFlag.AGGREGATE), int(TradeFlag.BLOCK)

ROWS = """
SELECT open_time, open, high, low, close, volume, quote_volume, trades, taker_buy_volume,
       taker_buy_quote_volume, first_id, last_id, complete, event_time, receive_time, blocks_only
FROM candle WHERE interval = %s AND source = %s ORDER BY instrument_id, open_time
"""

prices = st.sampled_from(["7", "7", "7.5", "0.1", "3", "99999.9999"])
amounts = st.decimals("0", "1000000", places=6, allow_nan=False)
steps = st.sampled_from(
    [0, 0, 1, 1000, 20 * SECOND, 59 * SECOND, MINUTE, 3 * MINUTE, 6 * MINUTE, 70 * MINUTE, 9 * 60 * MINUTE]
)


@st.composite
def sessions(draw: st.DrawFn, *, most: int = 12) -> list[Trade]:
    """Trades in order, contiguous, from shortly before a midnight on; block trades among them."""
    time = MIDNIGHT - draw(st.sampled_from([30 * SECOND, 5 * MINUTE, 3 * 60 * MINUTE]))
    found = []
    for sequence in range(1, draw(st.integers(1, most)) + 1):
        time += draw(steps)
        first = sequence * 10
        found.append(
            trade(
                sequence,
                time,
                price=draw(prices.map(Decimal)),
                quantity=draw(amounts),
                side=draw(st.sampled_from(Side)),
                first_id=first,
                last_id=first + draw(st.integers(0, 5)),
                flags=draw(st.sampled_from([0, 0, 0, BLOCK])),
            )
        )
    return found


def klines_of(trades: list[Trade], minutes: list[int]) -> list[Candle]:
    """What the exchange says of these minutes (numbered from the first trade's)."""
    found, first = [], trades[0].event_time // MINUTE * MINUTE
    for minute in sorted(set(minutes)):
        open_time = first + minute * MINUTE
        own = [one for one in trades if open_time <= one.event_time < open_time + MINUTE]
        before = [one for one in trades if one.event_time < open_time + MINUTE and not one.flags & BLOCK]
        if before:
            found.append(_kline(open_time, own, before[-1]))
    return found


def _kline(open_time: int, own: list[Trade], last: Trade) -> Candle:
    return kline(
        open_time,
        close=last.price,
        trades=sum(one.last_id - one.first_id + 1 for one in own),
        first_id=own[0].first_id if own else None,
        last_id=own[-1].last_id if own else None,
    )


def days_of(trades: list[Trade]) -> list[date]:
    """Every day from the first trade's to the one after the last's, which may have a closed kline."""
    first, last = day_of(trades[0].event_time), day_of(trades[-1].event_time)
    return [first + timedelta(days=offset) for offset in range((last - first).days + 2)]


def rows(connection: Connection, interval: str = "1m", source: str = "trade") -> list[tuple[Any, ...]]:
    return connection.execute(ROWS, (interval, source)).fetchall()


def places(connection: Connection) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Where each candle lies and who wrote it: both change when it is written again."""
    found = connection.execute("SELECT interval, open_time, source, ctid::text, xmin::text FROM candle")
    return {row[:3]: row[3:] for row in found}
