"""Asks an exchange by REST whether it is open, while connections are down: the exit of maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from streamers.publisher import Publisher
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.model import ExchangeState, ExchangeStatus
from trade_platform.exchanges.session import Exchange, ProtocolViolation, RestError

PROBE_SECONDS = 5.0

log = structlog.get_logger()


class Probe:
    """Slow questions while something is down; says what changed, once."""

    def __init__(
        self,
        exchange: Exchange,
        rest: RestClient,
        publisher: Publisher,
        clock: Clock,
        *,
        reopened: Callable[[], None],
        every_seconds: float = PROBE_SECONDS,
    ) -> None:
        self.status: ExchangeStatus | None = ExchangeStatus.OPEN
        """What was learned last; None where the exchange does not even answer."""
        self._exchange = exchange
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._reopened = reopened
        self._every_seconds = every_seconds
        self._down = False
        self._needed = asyncio.Event()

    def need(self, down: bool) -> None:
        """Connections are down, or all are up again."""
        self._down = down
        if down:
            self._needed.set()

    async def run(self) -> None:
        """Until cancelled. A state that was told is asked about until it is over."""
        while True:
            await self._needed.wait()
            self._note(await self._ask())
            await asyncio.sleep(self._every_seconds)
            if not self._down and self.status is ExchangeStatus.OPEN:
                self._needed.clear()

    async def _ask(self) -> ExchangeState | None:
        try:
            body = await self._rest.fetch(self._exchange.status_request())
            return self._exchange.parse_status(body, self._clock.market())
        except RestError as error:
            if not error.maintenance:
                return None
            now = self._clock.market()
            return ExchangeState(ExchangeStatus.MAINTENANCE, "", str(error), now, now)
        except (RestUnavailable, ProtocolViolation):
            return None

    def _note(self, state: ExchangeState | None) -> None:
        status = state.status if state is not None else None
        if status == self.status:
            return
        was_shut = self.status in (None, ExchangeStatus.MAINTENANCE, ExchangeStatus.LOCKED)
        self.status = status
        if state is not None:
            self._publisher.event(state)
        word = "no answer by REST either" if status is None else str(status)
        if status is ExchangeStatus.OPEN:
            log.info("The exchange is open.", exchange=self._exchange.key)
        else:
            log.warning(
                "The exchange is not open; asking slowly until it is.",
                exchange=self._exchange.key,
                status=word,
            )
        if was_shut and status in (ExchangeStatus.OPEN, ExchangeStatus.PARTIAL):
            self._reopened()
