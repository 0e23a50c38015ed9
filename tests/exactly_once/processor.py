"""One incarnation of the processors of both streams: real drains, turned on command."""

from __future__ import annotations

import psycopg
from prometheus_client import CollectorRegistry

from tests.exactly_once.bus import Server
from tests.exactly_once.streamer import StandingClock
from tests.processors.feeding import STREAM
from tests.processors.test_crash import Fuse, dying
from trade_platform.adapters.bus import STATE_STREAM
from trade_platform.adapters.database.connection import Connection, connect
from trade_platform.adapters.database.positions import PositionMoved
from trade_platform.domain.defences import Defence
from trade_platform.processors.drain import Drain
from trade_platform.processors.meters import Meters
from trade_platform.processors.plan import Plan

STREAMS = (STREAM, STATE_STREAM)


class Processor:
    """The owner of one stream, or somebody who believes to be it."""

    def __init__(
        self, url: str, stream: str, server: Server, clock: StandingClock, without: frozenset[Defence]
    ) -> None:
        self._url, self._stream, self._server, self._clock = url, stream, server, clock
        self._plan = Plan(
            stream=stream,
            database_url=url,
            redis_url=server.url,
            process_name="test",
            window_seconds=0,
            without=without,
        )
        self.connection: Connection | None = None
        self.drain: Drain | None = None

    def turn(self, *, dies_at: int = 0) -> None:
        """One read and all that follows; ``dies_at``: the connection is lost at this statement."""
        drain = self._ready()
        assert self.connection is not None
        if self._server.away:
            drain.lost_redis()
            return
        if dies_at:
            self.connection.cursor_factory = dying(Fuse(dies_at))
        try:
            drain.turn()
        except (psycopg.OperationalError, PositionMoved):
            self.die()
        else:
            self.connection.cursor_factory = psycopg.Cursor

    def trim(self) -> None:
        drain = self._ready()
        if not self._server.away and drain._aligned:
            try:
                drain._trim(level=False)
            except PositionMoved:
                self.die()

    def lost_redis(self) -> None:
        if self.drain is not None:
            self.drain.lost_redis()

    def die(self) -> None:
        if self.drain is not None:
            self.drain.close()
        if self.connection is not None:
            self.connection.close()
        self.drain = self.connection = None

    @property
    def level(self) -> bool:
        drain = self._ready()
        return drain.lane.position == drain._reader.end().last_id or not self._server.client.exists(
            self._stream
        )

    def _ready(self) -> Drain:
        if self.drain is None:
            self.connection = connect(self._url, name="test", synchronous_commit="off")
            self.drain = Drain(
                self._plan, self.connection, self._clock, Meters(self._stream, CollectorRegistry())
            )
        return self.drain
