"""A row of the archive is the record that REST gives for the same trade, and nothing else is."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_platform.domain.model import Candle, Channel, Side, Trade
from trade_platform.exchanges.binance import BinanceSpot, BinanceUsdm
from trade_platform.exchanges.binance.archive import BinanceArchive
from trade_platform.exchanges.binance.exchange import Binance
from trade_platform.exchanges.session import ProtocolViolation

SPOT, USDM = BinanceSpot(), BinanceUsdm()
NOW = 1_795_338_000_000_000
DAY = date(2026, 11, 21)

prices = st.decimals("0.00000001", "9999999", places=8, allow_nan=False)
times = st.integers(1_230_768_000_000, 1_795_338_000_000)  # milliseconds
ids = st.integers(0, 2**62)
facts = st.fixed_dictionaries(
    {
        "id": ids,
        "price": prices,
        "quantity": prices,
        "time": times,
        "maker": st.booleans(),
        "first": ids,
        "last": ids,
        "exchange": st.sampled_from([SPOT, USDM]),
        "microseconds": st.integers(0, 999),
    }
)


def time_in_file(fact: dict[str, Any]) -> int:
    """Spot counts microseconds since 2025, and tells more of them than REST does."""
    if fact["exchange"] is SPOT and fact["time"] >= 1_735_689_600_000:
        return int(fact["time"] * 1000 + fact["microseconds"])
    return int(fact["time"])


def columns(fact: dict[str, Any], *values: object) -> str:
    """A line as Binance writes it: spot says True and False, and has one column more."""
    maker = fact["maker"]
    spot = fact["exchange"] is SPOT
    tail = [str(maker), "True"] if spot else [str(maker).lower()]
    return ",".join([*(f"{one:f}" if isinstance(one, Decimal) else str(one) for one in values), *tail])


def by_rest(exchange: Binance, row: dict[str, Any], channel: Channel) -> Trade:
    (trade,) = exchange.parse_trades(json.dumps([row]).encode(), "BTCUSDT", channel, NOW)
    return trade


@given(facts)
def test_a_raw_trade_is_the_one_that_rest_gives(fact: dict[str, Any]) -> None:
    exchange, price, quantity = fact["exchange"], fact["price"], fact["quantity"]
    line = columns(fact, fact["id"], price, quantity, price * quantity, time_in_file(fact))
    row = {"id": fact["id"], "price": f"{price:f}", "qty": f"{quantity:f}", "time": fact["time"]}
    expected = by_rest(exchange, {**row, "isBuyerMaker": fact["maker"]}, Channel.TRADE)
    assert exchange.archive.trade(line, "BTCUSDT", Channel.TRADE, NOW) == expected
    assert exchange.archive.sequence(line) == expected.sequence
    assert expected.side is (Side.SELL if fact["maker"] else Side.BUY)


@given(facts)
def test_an_aggregate_is_the_one_that_rest_gives(fact: dict[str, Any]) -> None:
    exchange, price, quantity = fact["exchange"], fact["price"], fact["quantity"]
    line = columns(fact, fact["id"], price, quantity, fact["first"], fact["last"], time_in_file(fact))
    row = {"a": fact["id"], "p": f"{price:f}", "q": f"{quantity:f}", "f": fact["first"], "l": fact["last"]}
    row |= {"T": fact["time"], "m": fact["maker"]}
    expected = by_rest(exchange, row, Channel.AGGREGATE_TRADE)
    assert exchange.archive.trade(line, "BTCUSDT", Channel.AGGREGATE_TRADE, NOW) == expected


@given(facts)
def test_a_minute_is_the_one_that_rest_gives(fact: dict[str, Any]) -> None:
    exchange = fact["exchange"]
    unit = 1000 if exchange is SPOT and fact["time"] >= 1_735_689_600_000 else 1
    start = fact["time"] // 60_000 * 60_000
    end = (start + 60_000) * unit - 1
    price, quantity = f"{fact['price']:f}", f"{fact['quantity']:f}"
    figures = [price, price, price, price, quantity, quantity, quantity, quantity]
    line = ",".join(
        [str(start * unit), *figures[:5], str(end), figures[5], str(fact["id"]), *figures[6:], "0"]
    )
    rest = [start, *figures[:5], start + 59_999, figures[5], fact["id"], *figures[6:], "0"]
    (expected,) = exchange.parse_candles(json.dumps([rest]).encode(), "BTCUSDT", NOW)
    candle = exchange.archive.candle(line, "BTCUSDT", NOW)
    assert candle == expected
    assert isinstance(candle, Candle)
    assert candle.closed is (start + 60_000 < NOW // 1000)


@pytest.mark.parametrize(
    ("exchange", "channel", "daily", "monthly"),
    [
        (
            SPOT,
            Channel.TRADE,
            "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-11-21.zip",
            "data/spot/monthly/trades/BTCUSDT/BTCUSDT-trades-2026-11.zip",
        ),
        (
            USDM,
            Channel.AGGREGATE_TRADE,
            "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-11-21.zip",
            "data/futures/um/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-11.zip",
        ),
        (
            SPOT,
            Channel.CANDLE,
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11-21.zip",
            "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11.zip",
        ),
    ],
)
def test_the_day_s_file_comes_before_the_month_s(
    exchange: Binance, channel: Channel, daily: str, monthly: str
) -> None:
    assert exchange.archive is not None
    files = exchange.archive.files("BTCUSDT", channel, DAY)
    assert [(one.path, one.checksum) for one in files] == [
        (daily, f"{daily}.CHECKSUM"),
        (monthly, f"{monthly}.CHECKSUM"),
    ]


@pytest.mark.parametrize("symbol", ["../../etc", "A/B", "", "A\n", "X" * 65, "."])
def test_what_is_no_symbol_names_no_file(symbol: str) -> None:
    assert BinanceArchive("data/spot").files(symbol, Channel.TRADE, DAY) == ()


def test_quotes_are_in_no_file() -> None:
    assert BinanceArchive("data/spot").files("BTCUSDT", Channel.QUOTE, DAY) == ()


HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
ROW = "5,1.5,2,7,8,1600000000000,true"


def test_names_are_told_from_a_row() -> None:
    assert SPOT.archive is not None
    assert SPOT.archive.is_header(HEADER)
    assert not SPOT.archive.is_header(ROW)


def test_a_withdrawn_aggregate_of_old_is_read() -> None:
    """Binance kept its number, with no raw trades behind it; so does REST."""
    assert SPOT.archive is not None
    trade = SPOT.archive.trade("5,0,0,-1,-1,1600000000000,true,true", "X", Channel.AGGREGATE_TRADE, NOW)
    assert (trade.sequence, trade.quantity, trade.first_id) == (5, 0, -1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "5,1.5,2,7,8,1600000000000",
        ROW + ",true,1",
        "5,text,2,7,8,1600000000000,true",
        "5,NaN,2,7,8,1600000000000,true",
        "5,-1,2,7,8,1600000000000,true",
        "5,1e999,2,7,8,1600000000000,true",
        "9999999999999999999,1.5,2,7,8,1600000000000,true",
        "5_0,1.5,2,7,8,1600000000000,true",
        "٥,1.5,2,7,8,1600000000000,true",
        "5,1.5,2,7,8,1600000000000,maybe",
        "5,1.5,2,7,8,99999999999999999,true",
        ROW + "\n" + ROW,
    ],
)
def test_a_row_that_cannot_be_one_is_refused(line: str) -> None:
    assert SPOT.archive is not None
    with pytest.raises(ProtocolViolation):
        SPOT.archive.trade(line, "BTCUSDT", Channel.AGGREGATE_TRADE, NOW)


@given(st.text(max_size=80) | st.text("0123456789.,-eETtruefals", max_size=80))
def test_any_text_is_a_row_or_refused(line: str) -> None:
    archive = SPOT.archive
    assert archive is not None
    archive.is_header(line)
    for read in (
        lambda: archive.sequence(line),
        lambda: archive.candle(line, "X", NOW),
        lambda: archive.trade(line, "X", Channel.TRADE, NOW),
        lambda: archive.trade(line, "X", Channel.AGGREGATE_TRADE, NOW),
    ):
        with suppress(ProtocolViolation):
            read()
