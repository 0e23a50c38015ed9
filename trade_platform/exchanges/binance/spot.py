"""Binance spot: its streams, deadlines and REST."""

from __future__ import annotations

from collections.abc import Mapping
from operator import ne
from typing import ClassVar, Final

import msgspec

from trade_platform.domain.model import Channel, ExchangeState, ExchangeStatus, Instrument
from trade_platform.exchanges.archive import Archive
from trade_platform.exchanges.binance import instruments, marks, rest, routes
from trade_platform.exchanges.binance.archive import BinanceArchive
from trade_platform.exchanges.binance.exchange import Binance
from trade_platform.exchanges.binance.product import Product, Stream
from trade_platform.exchanges.binance.silence import look_at
from trade_platform.exchanges.limits import CONNECTIONS, WEIGHT, Limit
from trade_platform.exchanges.session import Request

PREFIX: Final = "/api/v3"
PLACE: Final = "market"
QUIET_SECONDS: Final = 30.0
"""After so long REST is asked; no silence alone ends a connection, because every stream of spot, candles

included, is silent when its market is (recorded sessions show it).
"""

STREAMS: Final = (
    Stream(
        channel=Channel.TRADE,
        suffix="trade",
        place=PLACE,
        event="trade",
        open=routes.raw_trades,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/aggTrades", 4, rest.newest_trade, limit=1),
    ),
    Stream(
        channel=Channel.AGGREGATE_TRADE,
        suffix="aggTrade",
        place=PLACE,
        event="aggTrade",
        open=routes.aggregate_trades,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/aggTrades", 4, rest.newest_aggregate, limit=1),
    ),
    Stream(
        channel=Channel.CANDLE,
        suffix="kline_1m",
        place=PLACE,
        event="kline",
        open=routes.candles,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/klines", 2, rest.newest_candle, interval="1m", limit=2),
        mark=marks.candle,
    ),
    Stream(
        channel=Channel.QUOTE,
        suffix="bookTicker",
        place=PLACE,
        event="bookTicker",
        open=routes.quotes,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/ticker/bookTicker", 2, rest.newest_quote, ne),
        mark=marks.quote,
    ),
    Stream(
        channel=Channel.TICKER,
        suffix="ticker",
        place=PLACE,
        event="24hrTicker",
        open=routes.tickers,
        deadline_seconds=QUIET_SECONDS,
        look=look_at(f"{PREFIX}/ticker/24hr", 2, rest.newest_in_ticker),
        mark=marks.ticker,
    ),
)

PRODUCT: Final = Product(
    key="binance_spot",
    places={PLACE: "/stream"},
    message_interval_seconds=0.4,  # of 5 a second
    streams={one.channel: one for one in STREAMS},
)


class SystemStatus(msgspec.Struct, gc=False):
    status: int
    msg: str = ""


_system_status = msgspec.json.Decoder(SystemStatus)


class BinanceSpot(Binance):
    """Implements ``exchanges.session.Exchange``."""

    product = PRODUCT
    prefix = PREFIX
    trades_page: ClassVar[Mapping[Channel, tuple[str, int]]] = {
        Channel.TRADE: ("/historicalTrades", 25),
        Channel.AGGREGATE_TRADE: ("/aggTrades", 4),
    }
    newest_trade: ClassVar[Mapping[Channel, tuple[str, int]]] = {Channel.TRADE: ("/trades", 25)}
    klines_weights = ((rest.PAGE + 1, 2),)

    websocket_url = "wss://stream.binance.com:9443"
    rest_url = "https://api.binance.com"
    limits = (Limit(WEIGHT, 6000, 60), Limit(CONNECTIONS, 300, 300))
    archive: Archive | None = BinanceArchive("data/spot")

    def instruments_requests(self) -> list[Request]:
        return [Request(path=f"{PREFIX}/exchangeInfo", weight=20)]

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return instruments.spot_instruments(body)

    def status_request(self) -> Request:
        return Request(path="/sapi/v1/system/status")

    @staticmethod
    @rest.reading
    def parse_status(body: bytes, receive_time: int) -> ExchangeState:
        answer = _system_status.decode(body)
        status = ExchangeStatus.MAINTENANCE if answer.status else ExchangeStatus.OPEN
        return ExchangeState(status, "", f"system/status {answer.msg}"[:100], receive_time, receive_time)
