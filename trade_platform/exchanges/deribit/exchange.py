"""All that is known about Deribit's public side, behind the seam of ``exchanges/session.py``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trade_platform.domain.model import Candle, Channel, ExchangeState, Instrument, Trade
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.archive import Archive
from trade_platform.exchanges.deribit import channels as names
from trade_platform.exchanges.deribit import occasions, rest
from trade_platform.exchanges.deribit.session import DeribitSession
from trade_platform.exchanges.session import ConnectionPlan, Request, RestError, Search


class Deribit:
    """API v2. ``testnet``: which network must answer; None where either may."""

    key = "deribit"
    websocket_url = "wss://www.deribit.com"
    rest_url = "https://www.deribit.com"
    channels = names.INSTRUMENT_CHANNELS | names.INDEX_CHANNELS
    exchange_channels = names.EXCHANGE_CHANNELS
    maximum_age_seconds: float | None = None
    """Connections have no published lifetime."""
    limits = rest.LIMITS
    archive: Archive | None = None
    """Not needed: REST serves every trade by its number, without an end."""

    def __init__(self, *, testnet: bool | None = False) -> None:
        self.testnet = testnet

    def plan(self, wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan] = ()) -> list[ConnectionPlan]:
        return names.plan(wanted, previous)

    def session(self, plan: ConnectionPlan, *, quote_interval: int = 0) -> DeribitSession:
        return DeribitSession(plan, quote_interval=quote_interval, testnet=self.testnet)

    def trade_channel(self, channels: Iterable[Channel]) -> Channel | None:
        """trade_seq is contiguous per instrument; there is no other kind of trade channel."""
        return Channel.TRADE if Channel.TRADE in channels else None

    def instruments_requests(self) -> list[Request]:
        return rest.instruments_requests()

    def parse_instruments(self, body: bytes) -> list[Instrument]:
        return rest.parse_instruments(body)

    def trades_request(self, symbol: str, channel: Channel, first: int, last: int) -> Request:  # noqa: ARG002
        return rest.trades_request(symbol, first, last)

    def last_trade_request(self, symbol: str, channel: Channel) -> Request:  # noqa: ARG002
        return rest.last_trade_request(symbol)

    def parse_trades(
        self,
        body: bytes,
        symbol: str,  # noqa: ARG002
        channel: Channel,  # noqa: ARG002
        receive_time: int,
    ) -> list[Trade]:
        return rest.parse_trades(body, receive_time)

    def first_trade_search(self, symbol: str, channel: Channel, since: int, until: int) -> Search:  # noqa: ARG002
        return rest.first_trade_search(symbol, since, until)

    def parse_first_trade(self, body: bytes, channel: Channel) -> int | None:  # noqa: ARG002
        return rest.parse_first_trade(body)

    def candles_request(self, symbol: str, start: int, end: int) -> Request:
        return rest.candles_request(symbol, start, end)

    def parse_candles(self, body: bytes, symbol: str, receive_time: int) -> list[Candle]:
        return rest.parse_candles(body, symbol, receive_time)

    def time_request(self) -> Request:
        return rest.request("get_time")

    def parse_time(self, body: bytes) -> int:
        return rest.parse_time(body)

    def status_request(self) -> Request:
        return rest.request("status")

    def parse_status(self, body: bytes, receive_time: int) -> ExchangeState:
        return rest.parse_status(body, receive_time)

    def occasion(self, market_time: int) -> str:
        return occasions.occasion(market_time)

    def error_of(self, status: int, body: bytes) -> RestError | None:
        return rest.error_of(status, body)
