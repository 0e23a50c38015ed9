"""What Binance's public REST interface answers, spot and USD-M alike: bodies to values.

Each function raises ProtocolViolation, and nothing else, on what is not such an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from operator import attrgetter
from typing import Final, ParamSpec, TypeVar

import msgspec

from trade_platform.domain.model import MICROSECONDS, Candle, Channel, Trade
from trade_platform.exchanges import amounts
from trade_platform.exchanges.binance import records, wire
from trade_platform.exchanges.page import Page, page_of
from trade_platform.exchanges.session import ProtocolViolation

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

PAGE: Final = 1000
"""Rows of a page, for trades and candles."""


def reading(parse: Callable[P, T]) -> Callable[P, T]:
    """Whatever decoding raises on foreign text becomes the one error for it."""

    @wraps(parse)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return parse(*args, **kwargs)
        except wire.UNREADABLE as error:
            raise ProtocolViolation(f"not an answer to {parse.__name__}: {error}"[:300]) from error

    return read


class KlineRow(msgspec.Struct, array_like=True, gc=False):
    open_time: wire.Milliseconds
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: wire.Milliseconds
    quote_volume: Decimal
    trades: wire.Id
    taker_volume: Decimal
    taker_quote_volume: Decimal


class ServerTime(msgspec.Struct, gc=False):
    serverTime: wire.Milliseconds  # noqa: N815  Binance's own name


class OpenInterest(msgspec.Struct, gc=False, rename={"value": "openInterest"}):
    symbol: str
    value: Decimal
    time: wire.Milliseconds | None = None


class BookTicker(
    msgspec.Struct,
    gc=False,
    rename={"bid": "bidPrice", "bid_quantity": "bidQty", "ask": "askPrice", "ask_quantity": "askQty"},
):
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


class DayTicker(msgspec.Struct, gc=False, rename={"last_id": "lastId"}):
    last_id: wire.IdOrNone


class PremiumIndex(msgspec.Struct, gc=False):
    time: wire.Milliseconds


_rows = msgspec.json.Decoder(list[msgspec.Raw])
_aggregate_row = msgspec.json.Decoder(wire.AggregateRow)
_raw_row = msgspec.json.Decoder(wire.RawTradeRow)
_kline_row = msgspec.json.Decoder(KlineRow)
_server_time = msgspec.json.Decoder(ServerTime)
_open_interest = msgspec.json.Decoder(OpenInterest)
_book_ticker = msgspec.json.Decoder(BookTicker)
_day_ticker = msgspec.json.Decoder(DayTicker)
_premium_index = msgspec.json.Decoder(PremiumIndex)


def page(body: bytes, decoder: msgspec.json.Decoder[R], convert: Callable[[R], T]) -> Page[T]:
    """The rows of a page, each by itself."""
    return page_of(_rows.decode(body), lambda row: convert(decoder.decode(row)), wire.UNREADABLE)


@reading
def aggregate_trades(body: bytes, symbol: str, receive_time: int) -> Page[Trade]:
    """A page of aggregate trades."""
    return page(body, _aggregate_row, lambda row: records.aggregate_trade(row, symbol, receive_time))


@reading
def raw_trades(body: bytes, symbol: str, receive_time: int) -> Page[Trade]:
    """A page of raw trades."""
    return page(body, _raw_row, lambda row: records.raw_trade(row, symbol, receive_time))


@reading
def candles(body: bytes, symbol: str, receive_time: int) -> Page[Candle]:
    """A page of minutes; the last may still be running."""
    return page(body, _kline_row, lambda row: candle_of(row, symbol, receive_time))


def candle_of(row: KlineRow, symbol: str, receive_time: int) -> Candle:
    """REST names no trade ids, nor whether the minute is over: its end is compared with our time."""
    end = (row.close_time + 1) * records.MILLISECOND
    unsigned = amounts.checked_unsigned
    return Candle(
        symbol=symbol,
        interval=records.INTERVAL,
        open_time=row.open_time * records.MILLISECOND,
        open=unsigned(row.open),
        high=unsigned(row.high),
        low=unsigned(row.low),
        close=unsigned(row.close),
        volume=unsigned(row.volume),
        quote_volume=unsigned(row.quote_volume),
        trades=row.trades,
        taker_buy_volume=unsigned(row.taker_volume),
        taker_buy_quote_volume=unsigned(row.taker_quote_volume),
        first_id=None,
        last_id=None,
        closed=end < receive_time,
        event_time=min(end, receive_time),
        receive_time=receive_time,
    )


@reading
def server_time(body: bytes) -> int:
    """Microseconds UTC."""
    return _server_time.decode(body).serverTime * (MICROSECONDS // 1000)


@reading
def open_interest(body: bytes, symbol: str) -> OpenInterest:
    """The open interest of one contract."""
    answer = _open_interest.decode(body)
    if answer.symbol != symbol:
        raise ProtocolViolation(f"asked for {symbol}, told of another symbol")
    amounts.checked_unsigned(answer.value)
    return answer


@reading
def first_trade(body: bytes, channel: Channel) -> int | None:
    """The lowest number of a page of aggregates: its own, or that of the first raw trade in it."""
    name = "first_id" if channel is Channel.TRADE else "sequence"
    numbers = page(body, _aggregate_row, attrgetter(name))
    return min((number for number in numbers if number >= 0), default=None)


# What a look at a silent channel compares: a mark of the newest that the market has.


@reading
def newest_aggregate(body: bytes) -> int | None:
    """The highest aggregate id."""
    return max(page(body, _aggregate_row, attrgetter("sequence")), default=None)


@reading
def newest_trade(body: bytes) -> int | None:
    """The highest raw id, as the aggregates name it: a page of them costs a sixth of one of raw trades."""
    last = page(body, _aggregate_row, attrgetter("last_id"))
    return max(last, default=None)


@reading
def newest_candle(body: bytes) -> tuple[int, int] | None:
    """The last minute with trades and their count; a minute without any says nothing."""
    rows = page(body, _kline_row, lambda row: row)
    return max(((row.open_time, row.trades) for row in rows if row.trades), default=None)


@reading
def newest_quote(body: bytes) -> tuple[Decimal, ...]:
    """Both sides; only equality can be judged."""
    answer = _book_ticker.decode(body)
    values = (answer.bid, answer.bid_quantity, answer.ask, answer.ask_quantity)
    return tuple(amounts.checked_unsigned(value) for value in values)


@reading
def newest_in_ticker(body: bytes) -> int:
    """The last trade id that the ticker counts."""
    return _day_ticker.decode(body).last_id


@reading
def newest_mark(body: bytes) -> int:
    """When the mark price was made."""
    return _premium_index.decode(body).time
