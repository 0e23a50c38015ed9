"""Our own minutes: what the table makes of trades, when they are written, and when they are complete."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.feeding import NOON, Feeder, emptied, entry, kline, trade
from trade_platform.adapters.database.bars import compute_bars
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.times import microseconds_of
from trade_platform.domain.model import (
    MICROSECONDS,
    MINUTE,
    Channel,
    Instrument,
    QuantityUnit,
    Side,
    Trade,
    TradeFlag,
)
from trade_platform.domain.ohlc import bars_of, continuous
from trade_platform.processors.apply import close_due

SECOND = MICROSECONDS
AGGREGATE, BLOCK = int(TradeFlag.AGGREGATE), int(TradeFlag.BLOCK)


def minutes(connection: Connection) -> dict[int, tuple[Any, ...]]:
    """Minute (from NOON) → (close, trades, complete) of our own candles."""
    rows = connection.execute(
        "SELECT open_time, close, trades, complete FROM candle WHERE source = 'trade' ORDER BY open_time"
    )
    return {(microseconds_of(at) - NOON) // MINUTE: tuple(rest) for at, *rest in rows}


def at(minute: float) -> int:
    return NOON + round(minute * MINUTE)


def test_the_running_minute_has_no_row_and_the_closed_one_is_proven_by_its_neighbours(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([trade(1, at(0.9)), trade(2, at(1.1)), trade(3, at(1.5))]))
    assert minutes(connection) == {0: (Decimal("100.5"), 1, False)}
    feeder.apply(entry([trade(4, at(2))], 2))
    assert minutes(connection)[1] == (Decimal("100.5"), 2, True)


def test_a_missing_number_keeps_both_its_neighbours_open_until_it_is_repaired(
    feeder: Feeder, connection: Connection
) -> None:
    trades = [trade(n, at(n / 3)) for n in range(1, 13)]
    feeder.apply(entry([one for one in trades if one.sequence != 6]))
    assert [complete for _, _, complete in minutes(connection).values()] == [False, False, False, True]
    feeder.apply(entry([trades[5]], 2))
    assert [complete for _, _, complete in minutes(connection).values()] == [False, True, True, True]
    assert minutes(connection)[2][1] == 3


def test_empty_minutes_are_filled_when_the_next_trade_follows(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0), price=Decimal(7))]))
    feeder.apply(entry([trade(2, at(3.5))], 2))
    assert minutes(connection) == {0: (7, 1, False), 1: (7, 0, True), 2: (7, 0, True)}


def test_empty_minutes_are_not_filled_over_a_hole(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0))]), entry([trade(3, at(3.5))], 2))
    assert list(minutes(connection)) == [0]
    feeder.apply(entry([trade(2, at(1.5), price=Decimal(8))], 3))
    assert minutes(connection) == {0: (Decimal("100.5"), 1, False), 1: (8, 1, True), 2: (8, 0, True)}


def test_a_late_trade_changes_its_minute_and_the_price_that_the_silence_after_it_has(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([trade(2, at(0.5)), trade(3, at(2.5))]))
    feeder.apply(entry([trade(4, at(0.6), price=Decimal(9))], 2))
    assert minutes(connection)[0][:2] == (9, 2)
    assert minutes(connection)[1][:2] == (9, 0)


def test_the_clock_closes_a_minute_unproven_and_the_next_trade_proves_it(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([trade(1, at(-0.5)), trade(2, at(0.5))]))
    lateness = 2 * SECOND
    assert feeder.lane.running.due(at(1) + lateness - 1, lateness) == set()
    due = feeder.lane.running.due(at(1) + lateness, lateness)
    assert close_due(connection, feeder.lane, due) == 1
    assert minutes(connection)[0][1:] == (1, False)
    assert feeder.lane.running.due(at(5), lateness) == set(), "once"
    feeder.apply(entry([trade(3, at(0.9))], 2))
    assert minutes(connection)[0][1:] == (2, False), "a late trade of a closed minute is seen at once"
    feeder.apply(entry([trade(4, at(4))], 3))
    assert minutes(connection)[0][1:] == (2, True)
    assert list(minutes(connection)) == [-1, 0, 1, 2, 3]


def test_a_closed_kline_proves_the_running_minute(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0.5))]), entry([kline(NOON)], 2))
    assert minutes(connection) == {0: (Decimal("100.5"), 1, True)}


def test_a_kline_that_counts_more_than_we_hold_waits_for_its_trades(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([trade(1, at(0.5))]), entry([kline(NOON, trades=2, last_id=2)], 2))
    assert minutes(connection) == {}
    feeder.apply(entry([trade(2, at(0.6))], 3))
    close_due(connection, feeder.lane, feeder.lane.running.due(at(2), 0))
    assert minutes(connection)[0][1:] == (2, True)


def test_a_kline_without_trades_fills_its_minute(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0.5))]))
    ours, theirs = Decimal("100.5"), Decimal(3)
    empty = {"trades": 0, "first_id": None, "last_id": None}
    feeder.apply(
        entry([kline(at(1), close=ours, **empty), kline(at(2), close=theirs, **empty)], 2),
    )
    assert minutes(connection) == {0: (ours, 1, False), 1: (ours, 0, True)}, "another price: we miss trades"


def test_a_block_trade_gives_volume_and_no_price(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(
        entry([trade(1, at(0), price=Decimal(5)), trade(3, at(1), price=Decimal(9), flags=BLOCK)]),
        entry([trade(4, at(3))], 2),
    )
    rows = connection.execute("SELECT close, volume, trades FROM candle ORDER BY open_time").fetchall()
    assert rows == [(5, Decimal("0.25"), 1), (5, Decimal("0.25"), 1), (5, 0, 0)]
    feeder.apply(entry([trade(2, at(0.5), price=Decimal(6))], 3))
    assert [close for close, _, _ in minutes(connection).values()] == [6, 6, 6]


def test_where_both_channels_traded_the_newer_one_counts(feeder: Feeder, connection: Connection) -> None:
    raw = [trade(n, at(0.1 * n)) for n in range(1, 5)]
    whole = [
        trade(90 + n, at(0.2 * n), first_id=2 * n, last_id=2 * n + 1, flags=AGGREGATE) for n in (1, 2, 9)
    ]
    feeder.apply(entry(raw), entry(whole, 2))
    assert minutes(connection)[0][:2] == (Decimal("100.5"), 4)


def test_a_lane_loaded_anew_goes_on_where_the_table_is(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1, at(0.1)), trade(2, at(1.2))]))
    feeder.load()
    assert feeder.lane.running.due(at(2), 0) == {(1, at(1))}
    feeder.apply(entry([trade(3, at(2))], 2))
    assert minutes(connection)[1][1:] == (1, True)


# The table's arithmetic is the domain's.

prices = st.decimals("-2", "99999", places=4, allow_nan=False) | st.decimals("0.0001", "3", places=8)
amounts = st.decimals("0", "1000000", places=6, allow_nan=False)


@st.composite
def sessions(draw: st.DrawFn) -> list[Trade]:
    count = draw(st.integers(1, 40))
    time = NOON
    found = []
    for sequence in range(1, count + 1):
        time += draw(st.sampled_from([0, 0, 1, 1000, 20 * SECOND, 59 * SECOND, 3 * MINUTE]))
        first = sequence * 10
        found.append(
            trade(
                sequence,
                time,
                price=draw(prices),
                quantity=draw(amounts),
                side=draw(st.sampled_from(Side)),
                first_id=first,
                last_id=first + draw(st.integers(0, 5)),
                flags=draw(st.sampled_from([0, 0, 0, BLOCK])),
            )
        )
    return found


@given(sessions(), st.sampled_from(QuantityUnit), st.randoms())
@settings(max_examples=60)
def test_candles_of_the_table_are_those_of_the_domain(
    two_databases: tuple[str, str], trades: list[Trade], unit: QuantityUnit, chance: random.Random
) -> None:
    """However the trades arrive: every field of every minute, fillers included."""
    shuffled = list(trades)
    chance.shuffle(shuffled)
    with connect(two_databases[0], name="property") as connection:
        feeder = Feeder(emptied(connection))
        feeder.apply(entry([Instrument(symbol="BTCUSDT", quantity_unit=unit)]))
        for n, start in enumerate(range(0, len(shuffled), 7), 2):
            feeder.apply(entry(shuffled[start : start + 7], n))
        feeder.close_all()
        stored = connection.execute(CANDLES).fetchall()
        running = feeder.lane.running.get(1)
    bars = bars_of(trades, unit)
    expected = continuous(bars, bars[0].open_time, bars[-1].open_time + MINUTE)
    assert [(microseconds_of(row[0]), *row[1:]) for row in stored] == [
        tuple(getattr(bar, name) for name in ("open_time", *COMPARED)) for bar in expected
    ]
    assert running is not None
    assert running.bar == bars[-1], "the running bar in memory, folded trade by trade"


COMPARED = (
    *("open", "high", "low", "close", "volume", "quote_volume", "trades"),
    *("taker_buy_volume", "taker_buy_quote_volume", "first_id", "last_id"),
)
CANDLES = f"SELECT open_time, {', '.join(COMPARED)} FROM candle WHERE source = 'trade' ORDER BY open_time"


@given(sessions(), st.sampled_from(QuantityUnit))
@settings(max_examples=30)
def test_bars_of_the_table_are_those_of_the_domain(
    two_databases: tuple[str, str], trades: list[Trade], unit: QuantityUnit
) -> None:
    """Also what the running bar is seeded from: which trade opened and which closed it."""
    with connect(two_databases[0], name="property") as connection:
        Feeder(emptied(connection)).apply(entry(trades))
        keys = [(1, bar.open_time) for bar in bars_of(trades, unit)]
        computed = compute_bars(connection, keys, {1: unit}, {1: Channel.TRADE})
    assert [computed[key].bar for key in keys] == bars_of(trades, unit)
