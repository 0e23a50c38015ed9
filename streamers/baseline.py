"""Where the sequence of a symbol stands when it is first recorded.

A trade shows what is missing before it only where a number is known to count from. A symbol that was
subscribed and has told nothing yet has none: what is traded while its connection, or this process, is
away would be lost without a trace. So REST is asked once for its newest trade, and that number goes to
the sequence hash like any other; the trade itself, older than the recording, does not.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, runtime_checkable

import structlog

from streamers.connection import Connection
from streamers.publisher import Publisher
from streamers.sequences import field_of
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.model import Channel
from trade_platform.exchanges.session import Exchange, ProtocolViolation, Request, RestError

LOOK_SECONDS = 0.1
RETRY_SECONDS = 5.0
CONCURRENCY = 2

log = structlog.get_logger()


@runtime_checkable
class TellsLastTrade(Protocol):
    """An exchange whose REST side names the newest trade; ``parse_trades`` reads the answer."""

    def last_trade_request(self, symbol: str, channel: Channel) -> Request: ...


class Baselines:
    """Asks for what no session and no earlier process knows."""

    def __init__(self, exchange: Exchange, rest: RestClient, publisher: Publisher, clock: Clock) -> None:
        self._exchange = exchange
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._asked: set[str] = set()
        self._symbols: asyncio.Queue[tuple[str, Channel]] = asyncio.Queue()

    def look(self, connection: Connection) -> None:
        """Ask for the symbols of a connection whose subscription is acknowledged."""
        if not connection.unknown:
            return
        for subscription in list(connection.session.subscriptions.values()):
            symbol, channel = subscription.wanted.symbol, subscription.wanted.channel
            if subscription.acknowledged and connection.unknown.get(symbol) == channel:
                del connection.unknown[symbol]
                if (field := field_of(symbol, channel)) not in self._asked:
                    self._asked.add(field)
                    self._symbols.put_nowait((symbol, channel))

    async def run(self) -> None:
        """Until cancelled; nothing to do for an exchange that cannot tell."""
        if isinstance(self._exchange, TellsLastTrade):
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(self._work(self._exchange))

    async def _work(self, exchange: TellsLastTrade) -> None:
        while True:
            symbol, channel = await self._symbols.get()
            field = field_of(symbol, channel)
            while field not in self._publisher.sequences.seen:
                try:
                    body = await self._rest.fetch(exchange.last_trade_request(symbol, channel))
                    trades = self._exchange.parse_trades(body, symbol, channel, self._clock.market())
                except (RestError, RestUnavailable, ProtocolViolation) as error:
                    log.info("The newest trade cannot be read.", symbol=symbol, error=str(error))
                    if isinstance(error, RestError) and not error.retry:
                        break
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._publisher.seal()
                newest = max((trade.sequence for trade in trades), default=0)
                self._publisher.sequences.begin_at(field, newest)
            self._asked.discard(field)
