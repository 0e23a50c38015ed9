"""The spool of the lane's other slot: what a process left there that was killed is sent by this one.

A spool belongs to whoever holds its lock. So the other slot's is free only when no process works there:
then it is taken, sent in its own order under its own producer's count, and given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from streamers.backlog import Backlog
from streamers.bus_link import BusLink
from streamers.sender import HISTORY_SECONDS, Sender
from streamers.spool import Spool, SpoolUnusable
from trade_platform.adapters.clock import Clock

LOOK_SECONDS = 2.0
POLL_SECONDS = 0.2

log = structlog.get_logger()


class Adoption:
    """Looks now and then whether the other slot left something behind."""

    def __init__(self, folder: Path, limit_bytes: int, connect: Callable[[], BusLink], clock: Clock) -> None:
        self.adopted = 0
        """Records that were sent in the other slot's stead."""
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._connect = connect
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; what is not sent by then stays on disk."""
        while True:
            if any(self._folder.glob("*.spool")):
                await self._adopt()
            await asyncio.sleep(LOOK_SECONDS)

    async def _adopt(self) -> None:
        backlog = Backlog(Spool(self._folder, self._limit_bytes), 1)
        try:
            backlog.open()
        except SpoolUnusable:
            return  # somebody works there, or it is as unusable for us
        log.info("The other slot's spool is sent.", folder=self._folder.name, bytes=backlog.spool.bytes)
        sender = Sender(self._connect(), backlog, self._clock)
        sending = asyncio.create_task(sender.run(_nothing_to_ask))
        try:
            while backlog and not sending.done():
                await asyncio.wait({sending}, timeout=POLL_SECONDS)
            await asyncio.sleep(HISTORY_SECONDS)  # so long Redis may still lose what it confirmed
            sender.finish(1.0)
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self.adopted += sender.sent_records
        log.info("The other slot's spool was sent.", records=sender.sent_records)


async def _nothing_to_ask(_: BusLink) -> None:
    """Where earlier processes ended concerns those that read an exchange."""
