"""What spot and USD-M have in common behind the ``Exchange`` seam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from trade_platform.domain.model import MINUTE, Candle, Channel, Trade
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.binance import errors, rest
from trade_platform.exchanges.binance.plans import shards
from trade_platform.exchanges.binance.product import Product
from trade_platform.exchanges.binance.records import INTERVAL, MILLISECOND
from trade_platform.exchanges.binance.session import BinanceSession
from trade_platform.exchanges.session import ConnectionPlan, Request, RestError, Search

DAY_LESS_AN_HOUR: Final = 23 * 3600.0
"""Binance cuts a connection after 24 hours."""
FOREVER: Final = 2**62


class Binance:
    """The half of an ``Exchange`` that does not depend on the product; stateless."""

    product: ClassVar[Product]
    prefix: ClassVar[str]
    """Of REST paths."""
    trades_page: ClassVar[Mapping[Channel, tuple[str, int]]]
    """Path below the prefix, and weight, of a page of trades by id; the preferred channel first."""
    newest_trade: ClassVar[Mapping[Channel, tuple[str, int]]] = {}
    """The same for the newest trades, where a page without an id does not begin with them."""
    search_span: ClassVar[int] = FOREVER
    """Microseconds that one question after trades by time may be about."""
    klines_weights: ClassVar[Sequence[tuple[int, int]]]
    """Weight of a page of candles with a limit below the first number; ascending."""
    retried_codes: ClassVar[frozenset[int]] = frozenset()
    """Error codes of the product's own that are worth another try."""
    passing_texts: ClassVar[tuple[str, ...]] = ()
    """How the messages of an HTTP 503 begin that is no maintenance."""

    def __init__(self) -> None:
        self.key = self.product.key
        self.channels = frozenset(
            {channel for channel, one in self.product.streams.items() if not one.suffix.startswith("!")}
            | self.product.polls.keys()
        )
        self.exchange_channels = frozenset(self.product.streams) - self.channels
        self.maximum_age_seconds: float | None = DAY_LESS_AN_HOUR

    def plan(self, wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan] = ()) -> list[ConnectionPlan]:
        served = self.product.served(wanted)
        plans = []
        for place, path in self.product.places.items():
            here = [one for one in served if self.product.source(one.channel).place == place]
            before = [plan for plan in previous if plan.path == path]
            plans += shards(place, path, here, before)
        return plans

    def session(self, plan: ConnectionPlan, *, quote_interval: int = 0) -> BinanceSession:
        return BinanceSession(self.product, plan.wanted, quote_interval=quote_interval)

    def trade_channel(self, channels: Iterable[Channel]) -> Channel | None:
        wanted = frozenset(channels)
        return next((channel for channel in self.trades_page if channel in wanted), None)

    def trades_request(self, symbol: str, channel: Channel, first: int, last: int) -> Request:
        path, weight = self.trades_page[channel]
        limit = max(1, min(rest.PAGE, last - first + 1))
        return Request(
            path=self.prefix + path,
            query={"symbol": symbol, "fromId": first, "limit": limit},
            weight=weight,
        )

    def last_trade_request(self, symbol: str, channel: Channel) -> Request:
        path, weight = self.newest_trade.get(channel, self.trades_page[channel])
        return Request(path=self.prefix + path, query={"symbol": symbol, "limit": 1}, weight=weight)

    def parse_trades(self, body: bytes, symbol: str, channel: Channel, receive_time: int) -> list[Trade]:
        parse = rest.raw_trades if channel is Channel.TRADE else rest.aggregate_trades
        return parse(body, symbol, receive_time)

    def first_trade_search(self, symbol: str, channel: Channel, since: int, until: int) -> Search:  # noqa: ARG002
        """Raw trades are not told by time; aggregates are, and name the raw trades that they stand for."""
        path, weight = self.trades_page[Channel.AGGREGATE_TRADE]
        first = -(-since // MILLISECOND)
        until = min(until, first * MILLISECOND + self.search_span)
        query: dict[str, str | int] = {
            "symbol": symbol,
            "startTime": first,
            "endTime": max(first, -(-until // MILLISECOND) - 1),  # both ends are included
            "limit": 1,
        }
        return Search(Request(path=self.prefix + path, query=query, weight=weight), until)

    def parse_first_trade(self, body: bytes, channel: Channel) -> int | None:
        return rest.first_trade(body, channel)

    def candles_request(self, symbol: str, start: int, end: int) -> Request:
        limit = max(1, min(rest.PAGE, (end - start) // MINUTE + 1))
        query: dict[str, str | int] = {
            "symbol": symbol,
            "interval": INTERVAL,
            "startTime": start // MILLISECOND,
            "endTime": end // MILLISECOND,
            "limit": limit,
        }
        weight = next(weight for below, weight in self.klines_weights if limit < below)
        return Request(path=f"{self.prefix}/klines", query=query, weight=weight)

    def parse_candles(self, body: bytes, symbol: str, receive_time: int) -> list[Candle]:
        return rest.candles(body, symbol, receive_time)

    def occasion(self, market_time: int) -> str:  # noqa: ARG002
        """Maintenance is announced as it comes, at no fixed time."""
        return ""

    def time_request(self) -> Request:
        return Request(path=f"{self.prefix}/time")

    def parse_time(self, body: bytes) -> int:
        return rest.server_time(body)

    def error_of(self, status: int, body: bytes) -> RestError | None:
        return errors.error_of(
            status, body, retried_codes=self.retried_codes, passing_texts=self.passing_texts
        )
