"""Where the sequence of a symbol stands when its connection opens, for those whose trades do not say it.

A trade shows what is missing before it only where a number is known to count from. A symbol that was
subscribed and has told nothing yet has none: what is traded while its connection, or this process, is
away would be lost without a trace. So REST is asked once for its newest trade, and that number goes to
the sequence hash like any other; the trade itself, older than the recording, does not. And where a number
is known, but the symbol stays silent after a reconnection, the newest trade shows at once whether any
were missed meanwhile, and not only when the next one comes, tomorrow perhaps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from streamers.connection import Connection
from streamers.publisher import Publisher
from streamers.sequences import field_of
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.model import Channel
from trade_platform.exchanges.session import Exchange, Missing, ProtocolViolation, RestError

LOOK_SECONDS = 0.1
SETTLE_SECONDS = 2.0
"""A symbol that is known to be traded may show by itself where it stands."""
RETRY_SECONDS = 5.0
CONCURRENCY = 2

log = structlog.get_logger()


class Baselines:
    """Asks for what neither a session nor an earlier process can tell."""

    def __init__(
        self,
        exchange: Exchange,
        rest: RestClient,
        publisher: Publisher,
        clock: Clock,
        *,
        behind: Callable[[Missing], None],
    ) -> None:
        self._exchange = exchange
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._behind = behind
        self._asked: set[str] = set()
        self._symbols: asyncio.Queue[tuple[str, Channel]] = asyncio.Queue()

    def look(self, connection: Connection) -> None:
        """Ask for the symbols of a connection that are acknowledged, and unknown or silent."""
        if not connection.unverified:
            return
        now = self._clock.monotonic()
        for subscription in list(connection.session.subscriptions.values()):
            symbol, channel = subscription.wanted.symbol, subscription.wanted.channel
            if not subscription.acknowledged or connection.unverified.get(symbol) != channel:
                continue
            settled = now - (subscription.requested_at or now) > SETTLE_SECONDS
            if subscription.messages:
                del connection.unverified[symbol]
            elif settled or symbol not in connection.expected:
                del connection.unverified[symbol]
                if (field := field_of(symbol, channel)) not in self._asked:
                    self._asked.add(field)
                    self._symbols.put_nowait((symbol, channel))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            symbol, channel = await self._symbols.get()
            newest = await self._newest(symbol, channel)
            self._asked.discard(field_of(symbol, channel))
            if newest is not None:
                self._compare(symbol, channel, newest)

    def _compare(self, symbol: str, channel: Channel, newest: int) -> None:
        self._publisher.seal()
        sequences, field = self._publisher.sequences, field_of(symbol, channel)
        if field not in sequences.seen:
            sequences.begin_at(field, newest)
        elif newest > sequences.seen[field]:
            missing = Missing(symbol, channel, sequences.seen[field] + 1, newest)
            self._behind(missing)
            sequences.seen[field] = newest  # asked for: nobody else needs to

    async def _newest(self, symbol: str, channel: Channel) -> int | None:
        """The newest sequence, 0 where there never was one, None where REST refuses to tell."""
        while True:
            try:
                body = await self._rest.fetch(self._exchange.last_trade_request(symbol, channel))
                trades = self._exchange.parse_trades(body, symbol, channel, self._clock.market())
                return max((trade.sequence for trade in trades), default=0)
            except (RestError, RestUnavailable, ProtocolViolation) as error:
                log.info("The newest trade cannot be read.", symbol=symbol, error=str(error))
                if isinstance(error, RestError) and not error.retry:
                    return None
                await asyncio.sleep(RETRY_SECONDS)
