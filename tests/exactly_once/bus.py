"""A real Redis that can be taken away, filled, and set back to what its disk would hold."""

from __future__ import annotations

import time
from typing import Literal

from redis import Redis

from streamers.bus_link import BusLink, BusUnavailable, Parcel
from tests.processors.feeding import EXCHANGE, STREAM
from trade_platform.adapters.bus import STATE_STREAM, Entry, sequence_key
from trade_platform.domain.model import Record

KEYS = (STREAM, STATE_STREAM, sequence_key(EXCHANGE))
Identity = tuple[str, int, str]
"""Producer, n, stream."""
Fate = Literal["", "answer lost", "killed before", "killed after"]


class Killed(BaseException):
    """The process ends here, as by SIGKILL."""


class Server:
    """The server's side of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Redis.from_url(url)
        self.away = self.full = False
        self._kept: list[dict[str, bytes | None]] = []

    def begin(self) -> None:
        self.away = False
        self.fill(full=False)
        self.client.flushdb()
        self._kept = []
        self.keep()

    def keep(self) -> None:
        """A second is over: the log is synced. What it held a second ago is remembered, too."""
        self._kept = [*self._kept[-1:], {key: self.client.dump(key) for key in KEYS}]

    def lose(self, seconds: int) -> None:
        """Crash, and come back with what was synced the last or the last but one time."""
        self._pass_millisecond()
        state = self._kept[-1 - min(seconds, len(self._kept) - 1)]
        self._kept = [state]
        full = self.full
        self.fill(full=False)
        for key, dumped in state.items():
            self.client.delete(key)
            if dumped is not None:
                self.client.restore(key, 0, dumped)
        self.fill(full=full)

    def fill(self, *, full: bool) -> None:
        self.full = full
        self.client.config_set("maxmemory", "1" if full else "0")

    def all(self) -> dict[Identity, list[Record]]:
        """What the streams hold."""
        entries = [
            (stream, Entry.from_fields(fields))
            for stream in KEYS[:2]
            for _, fields in self.client.xrange(stream)
        ]
        return {(entry.producer, entry.n, stream): list(entry.records()) for stream, entry in entries}

    def _pass_millisecond(self) -> None:
        """A restart takes longer: no id is given twice."""
        last = max(map(self._newest, KEYS[:2]))
        while self._now() <= last:
            time.sleep(0.0005)

    def _newest(self, stream: str) -> int:
        if not self.client.exists(stream):
            return 0
        return int(self.client.xinfo_stream(stream)["last-generated-id"].split(b"-")[0])

    def _now(self) -> int:
        seconds, microseconds = self.client.time()
        return seconds * 1000 + microseconds // 1000


class Link(BusLink):
    """The publisher's real connection, with a fate for the next flush."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.url)
        self.fate: Fate = ""
        self._server = server

    async def connect(self) -> None:
        await self._demand()
        await super().connect()

    async def send(self, parcels: list[Parcel]) -> list[str]:
        fate, self.fate = self.fate, ""
        await self._demand()
        if fate == "killed before":
            raise Killed
        identities = await super().send(parcels)
        if fate == "killed after":
            raise Killed
        if fate == "answer lost":
            await self.close()
            raise BusUnavailable("the answer was lost")
        return identities

    async def _demand(self) -> None:
        if self._server.away:
            await self.close()
            raise BusUnavailable("away")
