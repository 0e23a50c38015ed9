"""Binance USD-M futures: its streams on two routes, deadlines and REST."""

from __future__ import annotations

from collections.abc import Mapping
from operator import ne
from typing import ClassVar, Final

import msgspec

from trade_platform.domain.model import (
    MINUTE,
    Channel,
    ExchangeState,
    ExchangeStatus,
    Instrument,
    Metric,
    Number,
)
from trade_platform.exchanges.archive import Archive
from trade_platform.exchanges.binance import instruments, marks, rest, routes
from trade_platform.exchanges.binance.archive import BinanceArchive
from trade_platform.exchanges.binance.exchange import Binance
from trade_platform.exchanges.binance.product import Poll, Product, Stream
from trade_platform.exchanges.binance.records import MILLISECOND
from trade_platform.exchanges.binance.silence import look_at
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT, Limit
from trade_platform.exchanges.session import Request

PREFIX: Final = "/fapi/v1"
PUBLIC: Final = "public"
MARKET: Final = "market"
"""A stream that is asked for on the other route is acknowledged, and nothing ever comes."""
QUIET_SECONDS: Final = 30.0
"""After so long REST is asked whether the market is silent too."""
STEADY_SECONDS: Final = 10.0
"""Of a stream that comes every second."""

STREAMS: Final = (
    Stream(
        channel=Channel.AGGREGATE_TRADE,
        suffix="aggTrade",
        place=MARKET,
        event="aggTrade",
        open=routes.aggregate_trades,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/aggTrades", 20, rest.newest_aggregate, limit=1),
    ),
    Stream(
        channel=Channel.CANDLE,
        suffix="kline_1m",
        place=MARKET,
        event="kline",
        open=routes.candles,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/klines", 1, rest.newest_candle, interval="1m", limit=2),
        mark=marks.candle,
    ),
    Stream(
        channel=Channel.QUOTE,
        suffix="bookTicker",
        place=PUBLIC,
        event="bookTicker",
        open=routes.quotes,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/ticker/bookTicker", 2, rest.newest_quote, ne),
        mark=marks.quote,
    ),
    Stream(
        channel=Channel.TICKER,
        suffix="ticker",
        place=MARKET,
        event="24hrTicker",
        open=routes.tickers,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/ticker/24hr", 1, rest.newest_in_ticker),
        mark=marks.ticker,
    ),
    Stream(
        channel=Channel.MARK,
        suffix="markPrice@1s",
        place=MARKET,
        event="markPriceUpdate",
        open=routes.marks,
        deadline_seconds=QUIET_SECONDS,
        # One symbol alone may be silent because its contract has ended: that is asked by REST.
        look=look_at(f"{PREFIX}/premiumIndex", 1, rest.newest_mark),
        mark=marks.mark_price,
        steady_seconds=STEADY_SECONDS,
    ),
    Stream(
        channel=Channel.LIQUIDATION,
        suffix="forceOrder",
        place=MARKET,
        event="forceOrder",
        open=routes.liquidations,
    ),
    Stream(
        channel=Channel.INSTRUMENT_STATE,
        suffix="!contractInfo",
        place=MARKET,
        event="contractInfo",
        open=routes.contracts,
    ),
)


def _open_interest_request(symbol: str) -> Request:
    return Request(path=f"{PREFIX}/openInterest", query={"symbol": symbol})


def parse_open_interest(body: bytes, symbol: str, receive_time: int) -> Number:
    """``receive_time`` is a session's latest; an answer without a time of its own is stamped with it."""
    answer = rest.open_interest(body, symbol)
    event_time = receive_time if answer.time is None else answer.time * MILLISECOND
    return Number(
        symbol,
        Metric.OPEN_INTEREST,
        answer.value,
        event_time,
        receive_time or event_time,
        Channel.OPEN_INTEREST,
    )


POLLS: Final = (
    Poll(
        channel=Channel.OPEN_INTEREST,
        suffix="openInterest",
        place=MARKET,
        every_seconds=60.0,
        request=_open_interest_request,
        parse=parse_open_interest,
    ),
)

PRODUCT: Final = Product(
    key="binance_usdm",
    places={PUBLIC: "/public/stream", MARKET: "/market/stream"},
    message_interval_seconds=0.2,  # of 10 a second
    streams={one.channel: one for one in STREAMS},
    polls={one.channel: one for one in POLLS},
    # Raw trades are not documented here, their ids have holes, and some are no market trades: aggregates
    # are the tape.
    ignored_events=frozenset({"trade"}),
)

_anything = msgspec.json.Decoder(dict[str, msgspec.Raw])


class BinanceUsdm(Binance):
    """Implements ``exchanges.session.Exchange``."""

    product = PRODUCT
    prefix = PREFIX
    trades_page: ClassVar[Mapping[Channel, tuple[str, int]]] = {Channel.AGGREGATE_TRADE: ("/aggTrades", 20)}
    search_span = 60 * MINUTE  # from startTime to endTime it must be less than an hour
    klines_weights = ((100, 1), (500, 2), (rest.PAGE + 1, 5))
    retried_codes = frozenset({-5028})  # our clock is off, as seen by the matching engine
    passing_texts = ("Unknown error", "Service Unavailable", "Internal error")

    websocket_url = "wss://fstream.binance.com"
    rest_url = "https://fapi.binance.com"
    limits = (Limit(WEIGHT, 2400, 60), Limit(CONNECTIONS, 300, 300))
    """Of connections nothing is published for this product: what holds for spot is kept to."""
    archive: Archive | None = BinanceArchive("data/futures/um")

    def instruments_requests(self) -> list[Request]:
        return [Request(path=f"{PREFIX}/exchangeInfo")]

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return instruments.futures_instruments(body)

    def status_request(self) -> Request:
        """USD-M documents no status; an answered ping is one, and maintenance speaks by ``error_of``."""
        return Request(path=f"{PREFIX}/ping")

    @staticmethod
    @rest.reading
    def parse_status(body: bytes, receive_time: int) -> ExchangeState:
        _anything.decode(body)
        return ExchangeState(ExchangeStatus.OPEN, "", "ping", receive_time, receive_time)
