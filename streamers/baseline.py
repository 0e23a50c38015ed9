"""Where the sequence of a symbol stands when its connection opens, for those whose trades do not say it.

A trade shows what is missing before it only where a number is known to count from. A symbol that was
subscribed and has told nothing yet has none: what is traded while its connection, or this process, is
away would be lost without a trace. So REST is asked once for its newest trade, before the subscription
where it answers in time, and that number goes to the sequence hash at once; the trade itself, older than
the recording, does not go to the bus. And where a number
is known, but the symbol stays silent after a reconnection, the newest trade shows at once whether any
were missed meanwhile, and not only when the next one comes, tomorrow perhaps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import structlog

from streamers.connection import Connection
from streamers.publisher import Publisher
from streamers.sequences import MOST_FIELDS, field_of
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.holdings import Held
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.model import Channel, Gap, GapReason
from trade_platform.exchanges.session import Exchange, Missing, ProtocolViolation, RestError

LOOK_SECONDS = 0.1
SETTLE_SECONDS = 2.0
"""A symbol that is known to be traded may show by itself where it stands."""
RETRY_SECONDS = 5.0
TRIES = 5
"""With answers that are none, until the ledger of gaps is left to find out."""
CONCURRENCY = 2
POLL_SECONDS = 0.02
MOST_ASKED = MOST_FIELDS
"""Symbols at a time; none is asked about twice, so that it is what the exchange lists."""

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
        self._symbols: asyncio.Queue[tuple[str, Channel, int | None]] = asyncio.Queue()

    @property
    def asking(self) -> int:
        """Symbols that REST is being asked about."""
        return len(self._asked)

    def holdings(self) -> Iterator[Held]:
        """Symbols that wait for an answer."""
        yield Held("baselines_asked", len(self._asked), MOST_ASKED)

    def look(self, connection: Connection) -> None:
        """Ask for the symbols of a connection that are acknowledged, and unknown or silent."""
        if not connection.unverified or not self._publisher.acquainted.is_set():
            return
        now = self._clock.monotonic()
        for subscription in list(connection.session.subscriptions.values()):
            symbol, channel = subscription.wanted.symbol, subscription.wanted.channel
            if not subscription.acknowledged or connection.unverified.get(symbol) != channel:
                continue
            settled = now - (subscription.requested_at or now) > SETTLE_SECONDS
            if subscription.messages:
                del connection.unverified[symbol]
            elif settled or field_of(symbol, channel) not in self._publisher.sequences.seen:
                del connection.unverified[symbol]
                self._ask(symbol, channel)

    async def begin(self, channels: Mapping[str, Channel]) -> None:
        """Ask for those whose number nobody knows; done when all are known and kept where a restart looks.

        Whoever waits for it may stop waiting: the asking goes on. While Redis did not say what an earlier
        process reached, nothing is asked: a number of today in its place would hide what lies between.
        """
        publisher = self._publisher
        if not publisher.acquainted.is_set():
            return
        unknown = {
            field_of(symbol, channel): (symbol, channel)
            for symbol, channel in channels.items()
            if field_of(symbol, channel) not in publisher.sequences.seen
        }
        for symbol, channel in unknown.values():
            self._ask(symbol, channel)
        while unknown and (self._asked & unknown.keys() or publisher.backlog.only_in_memory):  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            symbol, channel, known = await self._symbols.get()
            field, sequences = field_of(symbol, channel), self._publisher.sequences
            if known is None and field in sequences.seen:
                newest = None  # it was traded while it waited for its turn, and says all by itself
            else:
                newest = await self._newest(symbol, channel)
            if newest is not None:
                self._publisher.seal()
                if known is None:
                    self._begin(symbol, channel, newest)
                elif sequences.seen.get(field) == known < newest:
                    self._behind(Missing(symbol, channel, known + 1, newest))
                    sequences.pass_over(field, newest)  # asked for: nobody else needs to
            self._asked.discard(field)

    def _ask(self, symbol: str, channel: Channel) -> None:
        field = field_of(symbol, channel)
        if field not in self._asked and len(self._asked) < MOST_ASKED:
            self._asked.add(field)
            self._symbols.put_nowait((symbol, channel, self._publisher.sequences.seen.get(field)))

    def _begin(self, symbol: str, channel: Channel, newest: int) -> None:
        hole = self._publisher.sequences.begin_at(symbol, channel, newest)
        if hole is not None:
            self._behind(hole)
        self._publisher.promise()

    async def _newest(self, symbol: str, channel: Channel) -> int | None:
        """The newest sequence, 0 where there never was one, None where REST refuses to tell."""
        asked_at, tries = self._clock.market(), 0
        while True:
            try:
                body = await self._rest.fetch(self._exchange.last_trade_request(symbol, channel))
                trades = self._exchange.parse_trades(body, symbol, channel, self._clock.market())
                return max((trade.sequence for trade in trades), default=0)
            except (RestError, RestUnavailable, ProtocolViolation) as error:
                log.info("The newest trade cannot be read.", symbol=symbol, error=str(error))
                tries += isinstance(error, ProtocolViolation)
                if tries >= TRIES or (isinstance(error, RestError) and not error.retry):
                    self._give_up(symbol, channel, asked_at, str(error))
                    return None
                await asyncio.sleep(RETRY_SECONDS)

    def _give_up(self, symbol: str, channel: Channel, since: int, why: str) -> None:
        """Nobody knows where it stands: what is traded until it shows by itself may be missing."""
        detail = f"its newest trade cannot be read: {why}"
        now = self._clock.market()
        self._publisher.event(Gap(symbol, channel, GapReason.RESTART, None, None, since, now, detail))
