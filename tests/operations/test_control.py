"""Our minutes against the exchange's: what differs, what either lacks, what heals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from tests.operations.spot import FixedClock, Market, Producer, at, desk_of, processing, row, stored
from tests.processors.feeding import EXCHANGE, NOON, Feeder, entry, kline, trade
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import DayCounts, stored_differences
from trade_platform.adapters.database.times import day_of, moment
from trade_platform.domain.control import Class
from trade_platform.domain.model import DAY, MINUTE, Candle, Instrument, QuantityUnit, Trade, TradeFlag
from trade_platform.domain.ohlc import Bar, bars_of, truncate
from trade_platform.operations.comparing import Comparison, compare_stored
from trade_platform.operations.control import compare_day
from trade_platform.operations.partitions import Listed, recorded_instruments

TODAY = day_of(NOON)
MIDNIGHT = NOON // DAY * DAY


def minute(number: float) -> int:
    """Since NOON."""
    return NOON + round(number * MINUTE)


def trades_of(minutes: dict[float, str], first: int = 1) -> list[Trade]:
    """Minute (from NOON) → price, numbered from ``first``."""
    return [
        trade(first + n, minute(when), price=Decimal(price))
        for n, (when, price) in enumerate(minutes.items())
    ]


def told(bar: Bar, **changes: Any) -> Candle:
    """The exchange's candle of the same trades, as it rounds."""
    fields = {name: getattr(bar, name) for name in ("open", "high", "low", "close", "volume", "trades")}
    fields |= {name: getattr(bar, name) for name in ("taker_buy_volume", "first_id", "last_id")}
    fields["quote_volume"] = truncate(bar.quote_volume, 8)
    fields["taker_buy_quote_volume"] = truncate(bar.taker_buy_quote_volume, 8)
    return kline(bar.open_time, **(fields | changes))


def klines_of(trades: list[Trade]) -> list[Candle]:
    return [told(bar) for bar in bars_of(trades, QuantityUnit.BASE)]


def only(connection: Connection) -> Listed:
    (one,) = recorded_instruments(connection)
    return one


def compare(connection: Connection, **options: Any) -> Comparison:
    return compare_stored(connection, only(connection), TODAY, **options)


def differences(connection: Connection) -> dict[tuple[int, str], tuple[Any, ...]]:
    """(minute from NOON, field) → (ours, theirs, class)."""
    found = stored_differences(connection, only(connection).instrument_id, TODAY)
    return {
        ((one.open_time.hour * 60 + one.open_time.minute) - (NOON - MIDNIGHT) // MINUTE, one.field): (
            *(one.ours, one.theirs, one.class_.value),
        )
        for one in found
    }


TRADES = trades_of(
    {0.2: "100.123456789", 1.2: "7.000000001", 1.4: "9", 1.6: "8", 2.5: "8", 3.5: "8", 4.5: "8"}
)


@pytest.fixture
def fed(feeder: Feeder) -> Feeder:
    """Minutes 1, 2 and 3 are complete; of each the exchange told its candle."""
    feeder.apply(entry(TRADES))
    feeder.apply(entry(klines_of(TRADES)[1:4], 2))
    return feeder


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    return Feeder(connection)


def test_minutes_that_are_the_exchange_s_own_are_equal_and_nothing_is_noted(
    fed: Feeder, connection: Connection
) -> None:
    assert compare(connection).counts == DayCounts(compared=3, equal=3)
    assert differences(connection) == {}
    row_ = connection.execute(
        "SELECT day, compared, equal, asked_until, closed_at FROM control_day"
    ).fetchone()
    assert row_ == (TODAY, 3, 3, None, None)


def test_an_altered_candle_is_noted_with_both_values_and_closed_when_it_is_right_again(
    fed: Feeder, connection: Connection
) -> None:
    connection.execute(
        "UPDATE candle SET close = 7.5, volume = 1 WHERE source = 'trade' AND open_time = %s",
        (moment(minute(1)),),
    )
    assert compare(connection).counts == DayCounts(compared=3, equal=2, open=1)
    assert differences(connection) == {
        (1, "close"): (Decimal("7.5"), Decimal(8), "open"),
        (1, "volume"): (Decimal(1), Decimal("0.75"), "open"),
    }
    first = connection.execute("SELECT min(first_seen), max(last_seen) FROM control_total").fetchone()
    assert compare(connection).healed == 0
    again = connection.execute("SELECT min(first_seen), max(last_seen) FROM control_total").fetchone()
    assert first is not None
    assert again is not None
    assert (first[0], first[1] < again[1]) == (again[0], True)

    connection.execute("UPDATE candle SET close = 8, volume = 0.75 WHERE source = 'trade' AND close = 7.5")
    outcome = compare(connection)
    assert (outcome.counts, outcome.healed) == (DayCounts(compared=3, equal=3), 2)
    assert differences(connection)[1, "close"] == (8, 8, "equal")
    words = connection.execute("SELECT explanation FROM control_total WHERE field = 'close'").fetchone()
    assert words == ("it was 7.5 against 8",)
    assert compare(connection).healed == 0, "once"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("open", Decimal("7.00000001")),
        ("high", Decimal("9.1")),
        ("low", Decimal(6)),
        ("quote_volume", Decimal("6.00000001")),
        ("taker_buy_volume", Decimal("0.7")),
        ("taker_buy_quote_volume", Decimal(5)),
        ("trades", 4),
        ("first_id", 3),
        ("last_id", 5),
    ],
)
def test_every_field_is_compared(feeder: Feeder, connection: Connection, field: str, value: object) -> None:
    feeder.apply(entry(TRADES))
    bar = bars_of(TRADES, QuantityUnit.BASE)[1]
    feeder.apply(entry([told(bar, **{field: value})], 2))
    assert compare(connection).counts == DayCounts(compared=1, open=1)
    assert list(differences(connection)) == [(1, field)]


def test_what_the_exchange_does_not_report_is_not_compared(feeder: Feeder, connection: Connection) -> None:
    feeder.apply(entry(TRADES))
    bar = bars_of(TRADES, QuantityUnit.BASE)[1]
    feeder.apply(entry([told(bar, first_id=None, last_id=None, taker_buy_volume=None)], 2))
    assert compare(connection).counts == DayCounts(compared=1, equal=1)


def test_a_minute_that_is_not_complete_is_not_compared_but_counted(
    feeder: Feeder, connection: Connection
) -> None:
    feeder.apply(entry([one for one in TRADES if one.sequence != 3]))
    feeder.apply(entry(klines_of(TRADES)[1:4], 2))
    counts = compare(connection).counts
    assert (counts.compared, counts.missing_ours) == (2, 1)
    assert not differences(connection), "a kline of more trades than ours is a hole, and no difference"


def test_an_outage_is_told_from_a_filler_and_from_minutes_that_nobody_asked_for(
    feeder: Feeder, connection: Connection
) -> None:
    """Minutes 1 to 4 have no trades: one is a filler of the exchange, the others it lacks."""
    quiet = trades_of({-0.5: "8", 0.5: "8", 5.5: "8", 6.5: "8"})
    feeder.apply(entry(quiet))
    empty = kline(minute(2), open=Decimal(8), high=Decimal(8), low=Decimal(8), close=Decimal(8),
                  volume=Decimal(0), quote_volume=Decimal(0), trades=0, taker_buy_volume=Decimal(0),
                  taker_buy_quote_volume=Decimal(0), first_id=None, last_id=None)  # fmt: skip
    feeder.apply(entry([klines_of(quiet)[1], empty, klines_of(quiet)[2]], 2))
    assert compare(connection).counts == DayCounts(compared=3, equal=3, fillers=1), "nobody asked"
    assert compare(connection, asked=minute(6)).counts == DayCounts(
        compared=4, equal=3, open=1, fillers=1, missing_theirs=3
    ), "1, 3 and 4 are out; of minute -1 we hold a trade"


def test_a_candle_that_the_exchange_lacks_of_trades_that_we_hold_is_open_until_it_comes(
    fed: Feeder, connection: Connection
) -> None:
    connection.execute(
        "DELETE FROM candle WHERE source = 'exchange' AND open_time = %s", (moment(minute(2)),)
    )
    assert compare(connection).counts == DayCounts(compared=2, equal=2)
    counts = compare(connection, asked=minute(4)).counts
    assert counts == DayCounts(compared=4, equal=2, open=2), "minute 0, too, which is not complete"
    assert differences(connection)[2, "candle"] == (1, None, "open")
    fed.apply(entry([klines_of(TRADES)[2]], 9))
    outcome = compare(connection)
    assert (outcome.counts.open, outcome.healed) == (1, 1)
    assert differences(connection)[2, "candle"] == (1, 1, "equal")


def test_block_trades_that_the_exchange_leaves_out_are_explained(connection: Connection) -> None:
    feeder = Feeder(connection, "market:deribit")
    symbol = "BTC-PERPETUAL"
    inverse = Instrument(symbol=symbol, quantity_unit=QuantityUnit.QUOTE)
    trades = [
        trade(n, minute(when), symbol=symbol, price=Decimal(price), quantity=Decimal(amount), flags=flags)
        for n, when, price, amount, flags in (
            (1, 0.5, 50_000, 1000, 0),
            (2, 1.2, 50_000, 1000, 0),
            (3, 1.4, 51_000, 30_000, int(TradeFlag.BLOCK)),
            (4, 1.6, 50_010, 70, 0),
            (5, 2.5, 50_000, 1000, 0),
        )
    ]  # fmt: skip
    feeder.apply(entry([inverse], exchange="deribit"))
    feeder.apply(entry(trades, 2, exchange="deribit"))
    nothing = dict.fromkeys(("trades", "taker_buy_volume", "taker_buy_quote_volume", "first_id", "last_id"))
    bar = bars_of([trades[1], trades[3]], QuantityUnit.QUOTE)[0]
    rounded = bar.volume.quantize(Decimal("1e-8"))
    assert rounded != bar.volume
    candle = told(bar, symbol=symbol, volume=rounded, high=Decimal(51_000), **nothing)
    feeder.apply(entry([candle], 3, exchange="deribit"))
    assert compare(connection).counts == DayCounts(compared=1, explained=1)
    assert {field: values[2] for (_, field), values in differences(connection).items()} == {
        "volume": "explained",
        "quote_volume": "explained",
        "high": "explained",
    }


def test_raw_ids_that_no_aggregate_has_explain_more_fills_on_usdm(connection: Connection) -> None:
    feeder = Feeder(connection, "market:binance_usdm")
    aggregates = [
        trade(n, minute(when), first_id=first, last_id=last, flags=int(TradeFlag.AGGREGATE))
        for n, when, first, last in ((1, 0.5, 10, 11), (2, 1.2, 12, 12), (3, 1.6, 15, 16), (4, 2.5, 17, 17))
    ]
    feeder.apply(entry(aggregates, exchange="binance_usdm"))
    bar = bars_of(aggregates[1:3], QuantityUnit.BASE)[0]
    more = told(bar, trades=5, volume=bar.volume + 1, quote_volume=bar.quote_volume + 100)
    feeder.apply(entry([more], 2, exchange="binance_usdm"))
    assert compare(connection).counts == DayCounts(compared=1, explained=1)
    words = connection.execute("SELECT DISTINCT explanation FROM control_total").fetchall()
    assert len(words) == 1
    assert "2 more fills, and 2 raw ids" in words[0][0]
    assert {one.class_ for one in stored_differences(connection, 1, TODAY)} == {Class.EXPLAINED}


class Klines(Market):
    """A market whose REST tells the candles of its own prints."""

    async def _klines(self, request: web.Request) -> web.Response:
        query = self._note(request)
        low, high = int(query["startTime"]) * 1000, int(query["endTime"]) * 1000
        prints = [print_at(number) for number in self.trades.get(query["symbol"], [])]
        bars = [bar for bar in bars_of(prints, QuantityUnit.BASE) if bar.open_time in self.minutes["BTCUSDT"]]
        found = [rest_row(bar) for bar in bars if low <= bar.open_time <= high]
        return self._answer(found[: int(query["limit"])])


def print_at(number: int) -> Trade:
    told_ = row(number)
    return trade(number, at(number), price=Decimal(str(told_["price"])))


def rest_row(bar: Bar) -> list[object]:
    opening = bar.open_time // 1000
    prices = [str(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    sums = [str(truncate(bar.quote_volume, 8)), bar.trades, str(bar.taker_buy_volume)]
    return [opening, *prices, opening + 59_999, *sums, str(truncate(bar.taker_buy_quote_volume, 8)), "0"]


async def test_what_is_not_held_is_fetched_over_the_bus_and_once(
    connection: Connection, postgres_url: str, redis_url: str
) -> None:
    market = Klines()
    market.trades["BTCUSDT"] = list(range(301))
    market.minutes["BTCUSDT"] = [minute(n) for n in (0, 1, 2, 4)]
    with processing(postgres_url, redis_url):
        producer = Producer(redis_url)
        producer.trades(market.trades["BTCUSDT"])
        await stored(connection, 301)
        async with market.serving(), desk_of(connection, redis_url, market, clock=FixedClock()) as desk:
            outcome = await compare_day(desk, only(connection), TODAY)
            assert (outcome.read, outcome.unanswered, outcome.refused) == (4, "", "")
            assert outcome.counts == DayCounts(compared=6, equal=4, open=2), "minutes 3 and 5 have none"
            asked = len(market.asked)
            again = await compare_day(desk, only(connection), TODAY)
            assert (again.read, again.counts) == (0, outcome.counts)
            assert len(market.asked) > asked, "minutes that it lacked are asked for again"
        producer.client.close()
    until = connection.execute("SELECT asked_until FROM control_day").fetchone()
    assert until is not None
    assert int(until[0].timestamp()) * 1_000_000 == NOON + 119 * MINUTE, (
        "the minute that just ended may change"
    )


async def test_an_exchange_that_gives_no_answer_is_said_and_what_is_held_is_compared(
    fed: Feeder, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.url = "http://127.0.0.1:1"
    async with desk_of(connection, redis_url, market) as desk:
        outcome = await compare_day(desk, only(connection), TODAY)
    assert outcome.unanswered == f"{EXCHANGE} gave no answer (ClientConnectorError)."
    assert outcome.counts == DayCounts(compared=3, equal=3)
    assert connection.execute("SELECT asked_until FROM control_day").fetchone() == (None,)


async def test_an_exchange_that_refuses_is_said_and_not_taken_for_an_outage(
    fed: Feeder, connection: Connection, redis_url: str
) -> None:
    market = Market()
    market.status = 400
    async with market.serving(), desk_of(connection, redis_url, market) as desk:
        outcome = await compare_day(desk, only(connection), TODAY)
    assert "Invalid symbol" in outcome.refused
    assert outcome.counts.missing_theirs == 0


def test_a_day_without_anything_is_compared_too(fed: Feeder, connection: Connection) -> None:
    counts = compare_stored(connection, only(connection), date(2026, 9, 1), asked=minute(0)).counts
    assert counts == DayCounts()
