from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.feeding import (
    EXCHANGE,
    NOON,
    STREAM,
    Feeder,
    emptied,
    entry,
    kline,
    number,
    tables,
    trade,
)
from trade_platform.adapters.bus import Entry
from trade_platform.adapters.database.bars import compute_bars
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.positions import PositionMoved
from trade_platform.adapters.database.times import moment
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import (
    DAY,
    MICROSECONDS,
    MINUTE,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Gap,
    GapReason,
    Instrument,
    InstrumentState,
    Liquidation,
    QuantityUnit,
    Side,
    TradeFlag,
)
from trade_platform.processors.lane import Lane


def test_trades_become_rows_coverage_and_a_position(feeder: Feeder, connection: Connection) -> None:
    applied = feeder.apply(entry([trade(1), trade(2), trade(3)]), entry([trade(5)], 2))
    assert applied.rows["trade"] == 4
    found = tables(connection)
    assert [row[2] for row in found["trade"]] == [1, 2, 3, 5]
    assert found["coverage"][0][1] == "trade"
    [held] = connection.execute("SELECT held::text FROM coverage").fetchone() or ()
    assert held == "{[1,4),[5,6)}"
    assert connection.execute("SELECT * FROM stream_position").fetchone()[:2] == (STREAM, "2-0")  # type: ignore[index]


def test_every_field_of_a_trade_is_stored(feeder: Feeder, connection: Connection) -> None:
    one = trade(
        7,
        price=Decimal("92287.1100"),
        quantity=Decimal("1E+3"),
        side=Side.SELL,
        first_id=5,
        last_id=9,
        flags=int(TradeFlag.BLOCK),
        trade_id="a\tb\\N",
        mark_price=Decimal("0.00000001"),
        index_price=Decimal("-1.5"),
        iv=Decimal("55.5"),
    )
    feeder.apply(entry([one]))
    [row] = tables(connection)["trade"]
    assert row[1:] == (
        moment(one.event_time),
        7,
        Decimal("92287.1100"),
        Decimal(1000),
        "sell",
        5,
        9,
        2,
        "a\tb\\N",
        Decimal("0.00000001"),
        Decimal("-1.5"),
        Decimal("55.5"),
        moment(one.receive_time),
    )
    assert str(row[3]) == "92287.1100", "every digit that the exchange sent"


def test_a_repeated_entry_changes_nothing(feeder: Feeder, connection: Connection) -> None:
    batch = [entry([trade(1), trade(2)]), entry([number()], 2)]
    feeder.apply(*batch)
    before = tables(connection)
    applied = feeder.apply(*batch)
    assert (applied.repeated, applied.records) == (2, 0)
    assert tables(connection) == before


def test_the_same_trades_from_another_producer_are_absorbed(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1), trade(2)]))
    applied = feeder.apply(entry([trade(2), trade(3)], producer="streamer:2"))
    assert (applied.rows["trade"], applied.duplicates) == (1, 1)
    assert len(tables(connection)["trade"]) == 3


def test_a_jump_in_n_is_a_gap(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1)]))
    feeder.apply(entry([trade(9, NOON + MICROSECONDS)], 4))
    [gap] = tables(connection)["gap"]
    assert gap[3] == "bus"
    assert (gap[6], gap[7]) == (moment(NOON + 1500), moment(NOON + MICROSECONDS + 1500))
    assert gap[8] == f"batches 2 to 3 of streamer:1 did not arrive on {STREAM}"


def test_a_first_batch_that_is_not_the_first_is_a_gap(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1)], 2))
    [gap] = tables(connection)["gap"]
    assert gap[8].startswith("batch 1 of")


def test_a_position_that_somebody_else_moved_is_noticed(
    feeder: Feeder, connection: Connection, postgres_url: str
) -> None:
    feeder.apply(entry([trade(1)]))
    with connect(postgres_url, name="rival") as rival:
        Feeder(rival, first_id=9).apply(entry([trade(2)], 2))
    with pytest.raises(PositionMoved):
        feeder.apply(entry([trade(2)], 2))
    assert len(tables(connection)["trade"]) == 2


def test_days_long_past_get_their_partitions(feeder: Feeder, connection: Connection) -> None:
    """Replays of 2021 and 2024 go into the same tables."""
    days = [datetime(2021, 4, 5, 12, tzinfo=UTC), datetime(2024, 8, 9, 23, 59, tzinfo=UTC)]
    times = [int(day.timestamp()) * MICROSECONDS for day in days]
    feeder.apply(entry([trade(n, at) for n, at in enumerate(times, 1)]), entry([number(times[0])], 2))
    partitions = connection.execute("SELECT tableoid::regclass::text FROM trade ORDER BY 1").fetchall()
    assert partitions == [("trade_20210405",), ("trade_20240809",)]
    loaded = connection.execute("SELECT relation, day::text FROM partition_day ORDER BY 1, 2").fetchall()
    assert loaded == [("number", "2021-04-05"), ("trade", "2021-04-05"), ("trade", "2024-08-09")]


def test_an_unknown_symbol_gets_a_row_that_its_listing_completes(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([trade(1)]))
    listed = Instrument(symbol="BTCUSDT", base="BTC", quote="USDT", tick_size=Decimal("0.01"))
    feeder.apply(entry([listed], 2))
    rows = connection.execute("SELECT instrument_id, base, tick_size FROM instrument").fetchall()
    assert rows == [(1, "BTC", Decimal("0.01"))]


def test_a_quantity_unit_learnt_late_remakes_the_minutes(feeder: Feeder, connection: Connection) -> None:
    trades = [trade(1, quantity=Decimal(201)), trade(2, NOON + MINUTE)]
    feeder.apply(entry(trades))
    assert connection.execute("SELECT volume FROM candle").fetchone() == (Decimal(201),)
    feeder.apply(entry([Instrument(symbol="BTCUSDT", quantity_unit=QuantityUnit.QUOTE)], 2))
    assert connection.execute("SELECT volume, quote_volume FROM candle").fetchone() == (2, 201)


def test_events_are_stored_once(feeder: Feeder, connection: Connection) -> None:
    records: list[list[Any]] = [
        [Gap("BTCUSDT", Channel.TRADE, GapReason.SEQUENCE, 5, 9, NOON, None)],
        [ExchangeState(ExchangeStatus.MAINTENANCE, "", "status", NOON, NOON)],
        [InstrumentState("BTCUSDT", "halted", NOON, NOON)],
        [Liquidation("BTCUSDT", Side.SELL, *(Decimal(n) for n in (1, 2, 3, 4)), "FILLED", NOON, NOON)],
    ]
    for producer in ("a", "b"):
        feeder.apply(*(entry(one, n, producer=producer) for n, one in enumerate(records, 1)))
    for table in ("gap", "exchange_state", "instrument_state", "liquidation"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table


def test_of_a_closed_candle_the_newest_event_stays(feeder: Feeder, connection: Connection) -> None:
    newer = kline(volume=Decimal(2), event_time=NOON + 2 * MINUTE)
    feeder.apply(entry([newer]), entry([kline(volume=Decimal(1))], 2))
    feeder.apply(entry([kline(volume=Decimal(3))], 3), entry([kline(closed=False, event_time=2 * NOON)], 4))
    assert connection.execute("SELECT volume, source FROM candle").fetchall() == [(2, "exchange")]


# Any batching, repetition and re-delivery gives the same tables.

SYMBOLS = ["AAA", "BBB"]
LISTING = entry([Instrument(symbol=symbol) for symbol in SYMBOLS], producer="lister:1")


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Entries of two producers that saw the same market, each with losses and repetitions of its own."""
    entries = []
    for producer in ("x:1", "y:2"):
        n = 0
        for _ in range(draw(st.integers(1, 6))):
            n += draw(st.sampled_from([1, 1, 1, 1, 2]))
            start = draw(st.integers(1, 40))
            symbol = draw(st.sampled_from(SYMBOLS))
            length = draw(st.integers(1, 12))
            since = NOON + draw(st.integers(-2, 6)) * MINUTE
            if draw(st.booleans()):
                records: list[Any] = [market_trade(symbol, start + k) for k in range(length)]
            elif draw(st.booleans()):
                records = [
                    number(NOON + (start + k) * 7 * MICROSECONDS, symbol=symbol) for k in range(length)
                ]
            else:
                records = [market_kline(symbol, start % 6)]
            entries.append(entry(records, n, producer=producer, since=since))
    return entries


def market_trade(symbol: str, sequence: int) -> Any:
    """One market, so that a sequence always means the same trade; a minute now and then without any."""
    at = NOON + sequence * 11 * MICROSECONDS + (sequence // 9) * 2 * MINUTE
    return trade(sequence, at, symbol=symbol, price=Decimal(100 + sequence % 7), receive_time=at + 1000)


def market_kline(symbol: str, minute: int) -> Any:
    open_time = NOON + minute * MINUTE
    inside = [
        one
        for one in (market_trade(symbol, sequence) for sequence in range(1, 80))
        if open_time <= one.event_time < open_time + MINUTE
    ]
    if not inside:
        before = [one for one in (market_trade(symbol, s) for s in range(80)) if one.event_time < open_time]
        price = before[-1].price
        return kline(open_time, symbol=symbol, trades=0, first_id=None, last_id=None, open=price, close=price)
    ids = {"first_id": inside[0].sequence, "last_id": inside[-1].sequence, "trades": len(inside)}
    return kline(open_time, symbol=symbol, **ids)


@given(
    histories(),
    st.lists(st.integers(0, 11), max_size=4),
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.booleans(),
)
@settings(max_examples=25)
def test_any_batching_and_redelivery_gives_the_same_tables(
    two_databases: tuple[str, str], entries: list[Entry], again: list[int], sizes: list[int], fold: bool
) -> None:
    with connect(two_databases[0], name="one") as connection:
        feeder = Feeder(emptied(connection))
        feeder.apply(LISTING, *entries)
        feeder.close_all()
        at_once = tables(connection)
    with connect(two_databases[1], name="other") as connection:
        feeder = Feeder(emptied(connection))
        feeder.apply(LISTING)
        for part in chunks(len(entries), sizes):
            feeder.apply(*entries[part], fold=fold)
            if any(index in range(part.start, part.stop) for index in again):
                feeder.load()
                feeder.apply(*entries[: part.stop])
        feeder.close_all()
        piecewise = tables(connection)
    assert piecewise == at_once


def chunks(total: int, sizes: list[int]) -> list[slice]:
    found, at = [], 0
    for index in range(total):
        size = sizes[index % len(sizes)]
        if at < total:
            found.append(slice(at, min(total, at + size)))
        at += size
    return found


def test_the_exchange_of_an_entry_is_what_counts(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry([trade(1)], exchange="deribit"), entry([trade(1)], 2, exchange=EXCHANGE))
    assert connection.execute("SELECT exchange, symbol FROM instrument ORDER BY 1").fetchall() == [
        ("binance_spot", "BTCUSDT"),
        ("deribit", "BTCUSDT"),
    ]


def test_a_kline_of_a_day_without_trades_is_stored(feeder: Feeder, connection: Connection) -> None:
    """Just after midnight on a fresh database: the last kline of the day before has no partition."""
    midnight = NOON // DAY * DAY
    feeder.apply(entry([trade(101, midnight)]))
    applied = feeder.apply(entry([kline(midnight - MINUTE, trades=7, first_id=94, last_id=100)], 2))
    assert applied.rows["candle"] == 1
    assert [row[3] for row in tables(connection)["candle"]] == ["exchange"]


def test_a_quantity_unit_changes_after_the_newest_day_was_dropped(
    feeder: Feeder, connection: Connection
) -> None:
    """There is no running minute; what is left of the trades makes its minutes anew."""
    feeder.apply(entry([trade(1), trade(2, NOON + MINUTE)]), entry([trade(3, NOON + DAY)], 2))
    feeder.close_all()
    [name] = (
        connection.execute("SELECT tableoid::regclass::text FROM trade WHERE sequence = 3").fetchone() or ()
    )
    connection.execute(f"DROP TABLE {name}")
    feeder.load()
    feeder.apply(entry([Instrument(symbol="BTCUSDT", quantity_unit=QuantityUnit.QUOTE)], 3))
    quote = "SELECT quote_volume FROM candle WHERE source = 'trade' AND trades > 0 ORDER BY open_time"
    assert connection.execute(quote).fetchall()[:2] == [(Decimal("0.25"),), (Decimal("0.25"),)]


def test_mixed_minutes_without_a_running_one_count_the_aggregate_trades(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([trade(1), trade(2, flags=1, quantity=Decimal(4))]))
    minute = (1, NOON)
    computed = compute_bars(connection, [minute], {1: QuantityUnit.BASE}, {})
    assert computed[minute].bar.volume == 4


@pytest.mark.parametrize("without", [Defence.REPEATS, Defence.COVERAGE])
def test_a_rehearsal_without_a_defence_shows_what_it_was_for(
    connection: Connection, without: Defence
) -> None:
    feeder = Feeder(connection)
    feeder.apply(entry([trade(1)]))
    feeder.lane = Lane.load(connection, STREAM, feeder.lane.today, frozenset({without}))
    if without is Defence.REPEATS:
        assert feeder.apply(entry([trade(1)])).repeated == 0
    else:
        with pytest.raises(psycopg.errors.UniqueViolation):
            feeder.apply(entry([trade(1)], 2))
