"""What is known of an exchange's state, and the questions by REST that are its guaranteed exit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from streamers.ending import Ending
from streamers.publisher import Publisher
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.defences import Defence
from trade_platform.domain.exchange_status import Openness
from trade_platform.domain.model import ExchangeState, ExchangeStatus
from trade_platform.exchanges.session import Exchange, ProtocolViolation, Reason, RestError

PROBE_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""A host that hangs has not answered."""
SHUT = frozenset({ExchangeStatus.MAINTENANCE, ExchangeStatus.LOCKED})

log = structlog.get_logger()


class Probe:
    """Slow questions while something is down or not open; every change is a record, and said once."""

    def __init__(
        self,
        exchange: Exchange,
        rest: RestClient,
        publisher: Publisher,
        clock: Clock,
        *,
        reopened: Callable[[], None],
        every_seconds: float = PROBE_SECONDS,
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        self.answers = True
        """The last question was answered."""
        self._exchange = exchange
        self._rest = rest
        self._publisher = publisher
        self._clock = clock
        self._reopened = reopened
        self._every_seconds = every_seconds
        self._without = without
        self._openness = Openness(exchange.occasion)
        self._down = False
        self._shut = False
        """As of the last answer, or for want of one."""
        self._needed = asyncio.Event()

    @property
    def status(self) -> ExchangeStatus:
        """The gravest state that holds."""
        return self._openness.status

    @property
    def scopes(self) -> int:
        """How many states hold, of the whole exchange or of parts of it."""
        return self._openness.scopes

    # --- what connections show ---

    def heard(self, state: ExchangeState) -> None:
        """The exchange said something of itself."""
        self._tell(self._openness.heard(state, self._clock.monotonic()))

    def delivers(self) -> None:
        """A new connection brought its first data."""
        self._tell(self._openness.delivers(self._clock.monotonic(), self._clock.market()))

    def flows(self) -> None:
        """Data came since the last call."""
        self._tell(self._openness.flows(self._clock.monotonic(), self._clock.market()))

    def ended(self, ending: Ending) -> None:
        """A connection ended."""
        self._openness.cut()
        if ending.reason is Reason.MAINTENANCE:
            self._openness.suspect(ending.detail)
        self._reconsider()

    def need(self, down: bool) -> None:
        """Connections are down, or all are up again."""
        self._down = down
        self._reconsider()

    # --- what asking shows ---

    async def run(self) -> None:
        """Until cancelled. A state is asked about until it is over."""
        while Defence.PROBE not in self._without:
            await self._needed.wait()
            self._note(await self._ask())
            await asyncio.sleep(self._every_seconds)
            if not self._down and not self._openness.asking:
                self._needed.clear()

    async def _ask(self) -> ExchangeState | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                body = await self._rest.fetch(self._exchange.status_request())
            return self._exchange.parse_status(body, self._clock.market())
        except RestError as error:
            if not error.maintenance:
                return None
            now = self._clock.market()
            return ExchangeState(ExchangeStatus.MAINTENANCE, "", str(error), now, now)
        except (RestUnavailable, ProtocolViolation, TimeoutError):
            return None

    def _note(self, state: ExchangeState | None) -> None:
        now, was_shut = self._clock.monotonic(), self._shut
        if state is None:
            self._tell(self._openness.unanswered(now, self._clock.market()))
        else:
            self._tell(self._openness.answered(state, now))
        if self.answers and state is None:
            log.warning("The exchange does not answer by REST either.", exchange=self._exchange.key)
        self.answers = state is not None
        self._shut = state is None or state.status in SHUT
        if was_shut and not self._shut:
            self._reopened()

    # ---

    def _tell(self, states: Iterable[ExchangeState]) -> None:
        for state in states:
            self._publisher.event(state)
            if state.status is ExchangeStatus.OPEN:
                log.info("The exchange is open.", exchange=self._exchange.key, scope=state.scope)
            else:
                log.warning(
                    "The exchange is not open; asking slowly until it is.",
                    exchange=self._exchange.key,
                    status=str(state.status),
                    scope=state.scope,
                    reason=state.reason,
                )
        self._reconsider()

    def _reconsider(self) -> None:
        if self._down or self._openness.asking:
            self._needed.set()
