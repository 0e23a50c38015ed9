"""The other slot of the lane, while a new version takes over: what it delivers is not missing here.

Until the old process is asked to stop, both hold connections of their own, and both hand over what
comes. So a new process that begins in the middle of the flow has missed nothing as long as the old one
is there: the hash ``sequence:{exchange}`` says so, number by number. Where it does not say so in time,
or the old process is gone, the hole is one like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from streamers.bus_link import BusUnavailable
from streamers.catch_up import CatchUp, Hole
from streamers.publisher import Publisher
from streamers.sequences import field_of
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.process import read_run

PATIENCE_SECONDS = 10.0
"""For the predecessor to hand over what is missing here."""
POLL_SECONDS = 0.1

log = structlog.get_logger()


def delivering(run_file: Path) -> Callable[[], bool]:
    """Is the process of this run file alive? It says so until it has handed over its last record."""

    def delivers() -> bool:
        run = read_run(run_file)
        return run is not None and run.alive

    return delivers


class Succession:
    """Holes that the predecessor may fill."""

    def __init__(
        self,
        delivers: Callable[[], bool],
        ask: Callable[[], Awaitable[Mapping[str, int]]],
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        """``ask``: what the sequence hash says."""
        self._delivers = delivers
        self._ask = ask
        self._publisher = publisher
        self._clock = clock
        self._open: list[tuple[Hole, float]] = []
        self._wake = asyncio.Event()
        self._catch_up: CatchUp | None = None

    @property
    def open(self) -> int:
        """Holes that are not yet known to be filled."""
        return len(self._open)

    def covers(self) -> bool:
        """Somebody else delivers what we do not."""
        return self._delivers()

    def stand_before(self, catch_up: CatchUp) -> None:
        """Take holes first."""
        self._catch_up = catch_up
        catch_up.covered = self._take

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._open:
                await self._settle()
                await asyncio.sleep(POLL_SECONDS)

    def _take(self, hole: Hole) -> bool:
        """Also when the predecessor has just gone: what it handed over until then is not missing."""
        self._publisher.sequences.hold(hole.missing)  # promised only when it is known to be there
        self._open.append((hole, self._clock.monotonic()))
        self._wake.set()
        return True

    async def _settle(self) -> None:
        present = self._delivers()  # before the question: what it handed over last, the answer knows
        handed_over: Mapping[str, int] = {}
        try:
            handed_over = await self._ask()
        except BusUnavailable as error:
            log.info("What the predecessor handed over is not known yet.", error=str(error))
        now = self._clock.monotonic()
        remaining: list[tuple[Hole, float]] = []
        missed: list[Hole] = []
        for hole, since in self._open:
            missing = hole.missing
            if handed_over.get(field_of(missing.symbol, missing.channel), -1) >= missing.last:
                self._publisher.sequences.release(missing)
            elif present and now - since <= PATIENCE_SECONDS:
                remaining.append((hole, since))
            else:
                self._publisher.sequences.release(missing)
                missed.append(hole)
        self._open = remaining
        self._publisher.promise()
        for hole in missed:
            self._pass_on(hole)

    def _pass_on(self, hole: Hole) -> None:
        assert self._catch_up is not None
        self._catch_up.request(hole, asked=True)
