"""How one feed comes to its exchange: in turn, within limits, after a pause that endings make longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamers.backoff import Backoff
from streamers.breaker import Breaker
from streamers.ending import Ending
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import Clock
from trade_platform.domain.defences import Defence
from trade_platform.exchanges.limits import CONNECTIONS, SUBSCRIBE
from trade_platform.exchanges.session import Reason

LONGEST_LOOK_SECONDS = 5.0
"""Between two questions whether a connection may be opened."""


class Approach:
    """Of one feed, known by its name."""

    def __init__(
        self,
        name: str,
        breaker: Breaker,
        budget: Budget,
        clock: Clock,
        *,
        backoff: Backoff | None = None,
        without: frozenset[Defence] = frozenset(),
    ) -> None:
        self._name = f"{name}/{id(self):x}"  # one that ends must not be taken for one that begins anew
        self._breaker = breaker
        self._budget = budget
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._impatient = Defence.BACKOFF in without

    async def turn(self, wait: Callable[[float], Awaitable[None]], stopping: Callable[[], bool]) -> None:
        """Among the feeds of the host, and within its limits. ``wait`` may end early, to look again."""
        while not (self._impatient or stopping()):
            pause = self._breaker.pause(self._name, self._clock.monotonic())
            if not pause:
                break
            await wait(pause)
        while not stopping():
            answer = await self._budget.ask(CONNECTIONS)
            if answer.taken:
                return
            await wait(min(max(answer.wait_seconds, answer.quiet_seconds), LONGEST_LOOK_SECONDS))

    async def admits(self) -> bool:
        """May one more be opened now, beside the one that delivers?"""
        return (await self._budget.ask(CONNECTIONS)).taken

    def delivers(self) -> None:
        """Data came."""
        self._breaker.delivers(self._name)

    def pause_after(self, ending: Ending) -> float:
        """How long to wait now."""
        if self._impatient:
            return 0.0
        self._breaker.ended(
            self._name,
            self._clock.monotonic(),
            delivered=ending.delivered,
            lived_seconds=ending.lived_seconds,
            at_least=ending.after_seconds,
            accepted=ending.accepted,
            waited_seconds=ending.waited_seconds,
        )
        return self._backoff.delay_after(
            delivered=ending.delivered,
            lived_seconds=ending.lived_seconds,
            at_least=ending.after_seconds,
            accepted=ending.accepted,
            waited_seconds=ending.waited_seconds,
        )

    async def heed(self, ending: Ending) -> None:
        """Where the exchange asked for quiet, every process is told."""
        if ending.reason is Reason.RATE_LIMITED:
            names = () if ending.banned else (CONNECTIONS, SUBSCRIBE)
            await self._budget.be_quiet(ending.after_seconds, *names)

    def forget(self) -> None:
        """Nobody is to wait for this feed."""
        self._breaker.forget(self._name)
