"""Publisher, bus and processors, with faults and deaths between any two steps: stored once, or told missing.

The model knows what the exchange printed and what was said; the real publisher, a real Redis, the real
processors and a real PostgreSQL do the rest, one step at a time. At the end everything that is away
comes back, everything is drained, and the tables are compared with the model.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from tests.exactly_once.bus import Killed, Server
from tests.exactly_once.processor import STREAMS, Processor
from tests.exactly_once.streamer import REFUSED, SYMBOLS, Market, StandingClock, Streamer, quote, state
from tests.exactly_once.verdict import Said, judge
from tests.processors.feeding import emptied
from trade_platform.adapters.database.connection import connect
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import MICROSECONDS, ExchangeState, Record

ROUNDS = 400
"""Of the draining at the end: more mean that it stalls."""


class World:
    """What all examples share."""

    def __init__(self, server: Server, database: str) -> None:
        self.server = server
        self.database = database
        self.without: frozenset[Defence] = frozenset()
        self.loop = asyncio.new_event_loop()
        self.connection = connect(database, name="judge")


def alive(model: ExactlyOnce) -> bool:
    return model.streamer is not None


class ExactlyOnce(RuleBasedStateMachine):
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="exactly-"))
        self.server = self.world.server
        self.without = self.world.without
        self.server.begin()
        emptied(self.world.connection)
        self.clock = StandingClock()
        self.market = Market(self.clock)
        self.said = Said(self.market)
        self.incarnation = 0
        self.streamer: Streamer | None = None
        self.lost: dict[tuple[str, int, str], list[Record]] = {}
        """What Redis lost, by producer, n and stream."""
        self.processors = {stream: self._processor(stream) for stream in STREAMS}
        self.rivals = {stream: self._processor(stream) for stream in STREAMS}

    def _processor(self, stream: str) -> Processor:
        return Processor(self.world.database, stream, self.server, self.clock, self.without)

    @initialize()
    def begin(self) -> None:
        """Recording has begun: the bus knows every symbol."""
        self.start()
        assert self.streamer is not None
        self.streamer.step()
        self.streamer.connect()
        for symbol in SYMBOLS:
            self.streamer.hear([self.market.print(symbol)])
        self.seal()
        self.flush("")
        self.a_second_passes()
        self.a_second_passes()

    # --- the market ---

    @rule(symbol=st.sampled_from(SYMBOLS), count=st.integers(1, 4))
    def trades(self, symbol: str, count: int) -> None:
        printed = [self.market.print(symbol) for _ in range(count)]
        if self._hears:
            self._run(lambda: self.streamer.hear(printed))

    @rule(refused=st.booleans())
    def number(self, refused: bool) -> None:
        self.clock.at += 1000
        if self._hears:
            one = quote(self.clock.at, REFUSED if refused else SYMBOLS[0])
            (self.said.refused if refused else self.said.quotes).append(one.event_time)
            self._run(lambda: self.streamer.hear([one]))

    @rule()
    @precondition(alive)
    def event(self) -> None:
        self.clock.at += 1000
        one = state(len(self.said.events) + 1, self.clock.at)
        self.said.events.append(one)
        self._run(lambda: self.streamer.publisher.event(one))

    # --- the streamer ---

    @rule()
    @precondition(alive)
    def seal(self) -> None:
        self._run(self.streamer.publisher.seal)

    @rule(
        fate=st.sampled_from(["", "", "answer lost", "answer lost", "killed before", "killed after"]),
        sealed=st.booleans(),
    )
    @precondition(alive)
    def flush(self, fate: Any, sealed: bool = True) -> None:
        if sealed:
            self.seal()
        self.streamer.link.fate = fate
        try:
            self.streamer.step()
        except Killed:
            self.kill()
        else:
            self.streamer.link.fate = ""

    @rule()
    @precondition(alive)
    def read_again(self) -> None:
        self.streamer.read_again()

    @rule()
    @precondition(lambda self: alive(self) and not self.streamer.reading)
    def subscribe(self) -> None:
        self._run(self.streamer.connect)

    @rule()
    @precondition(alive)
    def kill(self) -> None:
        streamer, self.streamer = self.streamer, None
        self._forgive(streamer.in_memory())
        streamer.die()
        self._bury()

    @rule()
    @precondition(alive)
    def stop(self) -> None:
        streamer, self.streamer = self.streamer, None
        streamer.spool.full = False
        streamer.stop()
        self._bury()

    @rule()
    @precondition(lambda self: not alive(self))
    def start(self) -> None:
        self.incarnation += 1
        self.clock.at += 1000
        name = f"streamer:{self.incarnation}"
        self.streamer = Streamer(self.world.loop, self.server, self.folder, self.market, name, self.without)

    @rule(broken=st.booleans())
    @precondition(alive)
    def disk_of_the_spool(self, broken: bool) -> None:
        self.streamer.spool.full = broken

    # --- Redis ---

    @rule(away=st.booleans())
    def redis(self, away: bool) -> None:
        self.server.away = away
        self._cut(away)

    @rule(full=st.booleans())
    def redis_memory(self, full: bool) -> None:
        self.server.fill(full=full)

    @rule()
    def a_second_passes(self) -> None:
        self.clock.at += MICROSECONDS
        self.server.keep()

    @rule(seconds=st.integers(0, 1), noticed=st.booleans())
    def redis_loses(self, seconds: int, noticed: bool) -> None:
        """Its last second, or two."""
        before = self.server.all()
        self.server.lose(seconds)
        held = self.server.all()
        self.lost |= {identity: records for identity, records in before.items() if identity not in held}
        self._cut(noticed)
        if self.streamer is None:
            self._bury()

    # --- processors ---

    @rule(stream=st.sampled_from(STREAMS))
    def process(self, stream: str) -> None:
        self.processors[stream].turn()

    @rule(stream=st.sampled_from(STREAMS), at=st.integers(1, 40))
    def processor_dies(self, stream: str, at: int) -> None:
        self.processors[stream].turn(dies_at=at)

    @rule(stream=st.sampled_from(STREAMS))
    def rival(self, stream: str) -> None:
        """Two at once, as if the lock had failed."""
        self.rivals[stream].turn()

    @rule(stream=st.sampled_from(STREAMS))
    def trim(self, stream: str) -> None:
        self.processors[stream].trim()

    # --- the end ---

    def teardown(self) -> None:
        try:
            self._drain()
            judge(self.world.connection, self.said)
        finally:
            if self.streamer is not None:
                self.streamer.die()
            for processor in (*self.processors.values(), *self.rivals.values()):
                processor.die()
            shutil.rmtree(self.folder)

    def _drain(self) -> None:
        self.server.fill(full=False)
        self.redis(away=False)
        if self.streamer is None:
            self.start()
        self.streamer.spool.full = False
        seen = False
        for _ in range(ROUNDS):
            self._run(self.streamer.publisher.seal)
            self.streamer.step()
            if not self.streamer.reading:
                self.subscribe()
            elif self._hears and not seen and self.streamer.publisher.acquainted.is_set():
                seen = True
                for symbol in SYMBOLS:  # the next trade shows what was missed before it
                    self.trades(symbol, 1)
            self.streamer.read_again()
            if self.streamer.finished and seen:
                break
        else:
            pytest.fail("the publisher stalls")
        for processor in self.processors.values():
            for _ in range(ROUNDS):
                processor.turn()
                if processor.level:
                    break
            else:
                pytest.fail("a processor stalls")

    # --- bookkeeping ---

    @property
    def _hears(self) -> bool:
        return self.streamer is not None and self.streamer.reading and not self.streamer.publisher.blocked

    def _run(self, work: Callable[[], Any]) -> None:
        assert self.streamer is not None
        self.streamer.run(work)

    def _cut(self, noticed: bool) -> None:
        """Connections to Redis are gone; a processor's client may connect anew without a word."""
        if self.streamer is not None:
            self.streamer.run(self.streamer.link.close)
        if noticed:
            for processor in (*self.processors.values(), *self.rivals.values()):
                processor.lost_redis()

    def _forgive(self, records: list[Record]) -> None:
        """A kill takes them."""
        self.said.forgiven |= {int(one.scope) for one in records if isinstance(one, ExchangeState)}

    def _bury(self) -> None:
        """What Redis lost, and nobody lives who could say it again."""
        held = self.server.all()
        for identity, records in self.lost.items():
            if identity not in held:
                self._forgive(records)
