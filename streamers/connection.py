"""One connection from its opening to its end: carries texts to a session and performs what it says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence

import msgspec
from websockets.exceptions import InvalidHandshake, InvalidURI

from streamers.ending import Ending, refusal
from streamers.holder import Holder, Surroundings
from streamers.listening import Listening
from streamers.oddities import NOWHERE, Oddities, subscribed_as
from streamers.outbox import MOST_TEXTS, Outbox
from streamers.publisher import Inlet
from streamers.socket import Socket, open_socket
from trade_platform.adapters.holdings import Held
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.domain.defences import Defence
from trade_platform.domain.model import Channel, ExchangeState, Trade
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import (
    Missing,
    Output,
    ProtocolViolation,
    Reason,
    Reconnect,
    Rest,
    RestError,
    Send,
    Session,
)
from trade_platform.exchanges.tally import LARGEST

TICK_SECONDS = 0.25
MOST_QUESTIONS = 1000
"""By REST at a time: more come from a session that asks faster than it is answered."""
_SILENCE_OF = {
    Reason.SESSION_SILENT: Defence.SESSION_LIVENESS,
    Reason.CHANNEL_SILENT: Defence.CHANNEL_LIVENESS,
    Reason.NEVER_DELIVERED: Defence.CHANNEL_LIVENESS,
}
"""Which defence it is that ends a connection so."""


class Connection:
    """One socket, one session, one inlet of the publisher."""

    def __init__(self, url: str, session: Session, holder: Holder, around: Surroundings) -> None:
        self.session = session
        self.messages = 0
        self.bytes = 0
        self.delivered = False
        self.last_data_time = 0
        """Market time of the last data."""
        self.expected: dict[str, int] = {}
        """The sequences that the session was told to go on from."""
        self.unverified: dict[str, Channel] = {}
        """Symbols that showed not yet where they stand, with the channel that will."""
        self.open = False
        self._url = url
        self._holder = holder
        self._around = around
        self._inlet: Inlet = Inlet()
        self._buffers = self._inlet.buffers
        self._socket: Socket | None = None
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._outbox = Outbox(around.budget)
        self._listening = Listening(around.clock.monotonic())
        self._errands: asyncio.TaskGroup | None = None
        self._questions: set[asyncio.Task[None]] = set()
        self._changed: Sequence[Wanted] | None = None
        """A selection that came before the socket was open."""
        self._oddities = Oddities(holder.odd)

    async def run(self) -> Ending:
        """Open, carry on until the end, close. Never raises on what a network or an exchange does."""
        try:
            self._socket = await open_socket(
                self._url,
                tls=self._around.tls,
                compression=self._around.compression,
                guarded=Defence.TRANSPORT_LIVENESS not in self._around.without,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError) as error:
            return refusal(error, self._url)
        self._inlet = self._around.publisher.inlet()
        self._buffers = self._inlet.buffers
        began = self._around.clock.monotonic()
        self.open = True
        try:
            ending = await self._carry()
        finally:
            self.open = False
            await self._socket.close()  # what is in flight is still read until the other side agrees
            self._note_data()
            self._oddities.report(math.inf)
            self.bytes = self._socket.bytes
            self._around.publisher.remove(self._inlet)
        return msgspec.structs.replace(
            ending,
            lived_seconds=self._around.clock.monotonic() - began,
            delivered=self.delivered,
        )

    def end(self, reason: Reason, detail: str = "", after_seconds: float = 0.0) -> None:
        """It is over; the first to say so gives the reason."""
        if not self._ending.done():
            self._ending.set_result(Ending(reason, detail, after_seconds))

    def change(self, wanted: Sequence[Wanted]) -> None:
        """The selection changed what this connection is to carry."""
        if self._ending.done():
            return
        if not self.open:
            self._changed = wanted
            return
        before = set(self.session.subscriptions)
        outputs = self.session.change(wanted, self._now())
        if before != set(self.session.subscriptions):
            self._around.publisher.seal()
            self._inlet.since = 0  # a channel that comes back must not join what it was before
        self.perform(outputs)

    @property
    def since(self) -> int:
        """Market time of its first data; 0 before."""
        return self._inlet.since

    @property
    def violations(self) -> int:
        """Messages that could not be read."""
        return self._oddities.count

    def _now(self) -> float:
        """The session's time."""
        return self._listening.time(self._around.clock.monotonic())

    async def _carry(self) -> Ending:
        assert self._socket is not None
        async with asyncio.TaskGroup() as self._errands:
            tasks = [
                self._errands.create_task(work)
                for work in (self._outbox.run(self._socket), self._tick(), self._watch_transport())
            ]
            self._listening = Listening(self._around.clock.monotonic())
            self.perform(self.session.opened(self._now()))
            if self._changed is not None:
                self.change(self._changed)
            self._socket.start(self._received, self._chunk_ended, self._around.clock.market)
            ending = await self._ending
            for task in (*tasks, *self._questions):
                task.cancel()
        return ending

    def _received(self, message: bytes) -> None:
        """The hot path: what is a record goes to its buffer, and nothing else happens."""
        self.messages += 1
        assert self._socket is not None
        try:
            outputs = self.session.receive(message, self._socket.receive_time)
        except ProtocolViolation as error:
            self._note_odd(error, message)
            return
        buffers = self._buffers
        for output in outputs:
            buffer = buffers.get(type(output))  # type: ignore[arg-type]
            if buffer is None:
                self._perform(output)
            else:
                buffer.append(output)  # type: ignore[arg-type]

    def _note_odd(self, violation: ProtocolViolation, message: bytes) -> None:
        """One message that cannot be read must not cost the many others that can."""
        assert self._socket is not None
        error, wanted = str(violation), violation.wanted
        wanted = wanted or subscribed_as(message, self.session.subscriptions)
        place = NOWHERE if wanted is None else (wanted.symbol or None, wanted.channel)
        now, at = self._around.clock.monotonic(), self._socket.receive_time
        self._oddities.note(error, at, now, place)
        if self._oddities.too_many(self.messages) or Defence.TOLERANCE in self._around.without:
            self.end(Reason.PROTOCOL, error)

    def _chunk_ended(self) -> bool:
        publisher = self._around.publisher
        if not self._inlet.since:
            self._note_hearing()
        if any(self._buffers.values()):
            self._note_data()
            publisher.touch()
        return not publisher.blocked

    def _note_data(self) -> None:
        assert self._socket is not None
        if any(self._buffers.values()):
            self.last_data_time = self._socket.receive_time
            if trades := self._buffers[Trade]:
                self._around.skew.note(
                    trades[-1].event_time,  # type: ignore[union-attr]
                    self.last_data_time,
                    self._around.clock.monotonic(),
                )
            if not self._inlet.since:
                self._note_hearing()
            if not self.delivered:
                self.delivered = True
                self._holder.delivering(self)

    def _note_hearing(self) -> None:
        """From the first data on it listens, be it held for a while because a newer one may supersede it."""
        assert self._socket is not None
        if any(one.messages for one in self.session.subscriptions.values()):
            self._inlet.since = self._socket.receive_time

    def perform(self, outputs: Sequence[Output]) -> None:
        """Outputs that did not come by ``receive``: the same, only not as often."""
        for output in outputs:
            buffer = self._buffers.get(type(output))  # type: ignore[arg-type]
            if buffer is None:
                self._perform(output)
            else:
                buffer.append(output)  # type: ignore[arg-type]
                self._around.publisher.touch()

    def _perform(self, output: Output) -> None:
        match output:
            case Send():
                if not self._outbox.put(output):
                    self.end(Reason.TRANSPORT_SILENT, "it does not read what is said to it")
            case Missing():
                self._note_data()  # in the middle of a chunk: what came before it is data already
                self._around.publisher.seal()
                self._holder.missing(self, output)
            case Rest():
                if len(self._questions) >= MOST_QUESTIONS:
                    self.perform(output.failed("too many questions wait") if output.failed else ())
                elif self._errands is not None and not self._ending.done():
                    question = self._errands.create_task(self._ask(output))
                    self._questions.add(question)
                    question.add_done_callback(self._questions.discard)
            case Reconnect(reason=Reason.SHUTDOWN):
                self._holder.rotation_wished(self)
            case Reconnect():
                if _SILENCE_OF.get(output.reason) not in self._around.without:
                    self.end(output.reason, output.detail, output.after_seconds)
            case ExchangeState():
                self._holder.event(output)
            case _:
                self._around.publisher.event(output)
                self._holder.event(output)

    def holdings(self) -> Iterator[Held]:
        """What one connection is allowed; of all of them the fullest counts."""
        yield Held("outbox_texts", len(self._outbox), MOST_TEXTS)
        yield Held("questions", len(self._questions), MOST_QUESTIONS)
        yield Held("ignored_kinds", len(self.session.ignored), LARGEST)

    async def _ask(self, rest: Rest) -> None:
        try:
            body = await self._around.rest.fetch(rest.request)
            outputs = rest.parse(body)
        except (RestError, RestUnavailable, ProtocolViolation) as error:
            outputs = rest.failed(str(error)) if rest.failed is not None else ()
        self.perform(outputs)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            assert self._socket is not None
            self.bytes = self._socket.bytes
            now = self._around.clock.monotonic()
            self._oddities.report(now)
            listening = not self._around.publisher.blocked
            stood_still = self._listening.deaf_seconds
            session_now = self._listening.tick(now, listening=listening)
            self._watch_peer(listening=self._listening.deaf_seconds == stood_still)
            if listening:
                self.perform(self.session.due(session_now))

    def _watch_peer(self, *, listening: bool) -> None:
        assert self._socket is not None
        if Defence.TRANSPORT_LIVENESS in self._around.without:
            return
        if not self._socket.alive(listening=listening) and not self._ending.done():
            self.end(Reason.TRANSPORT_SILENT, "no answer to pings")
            self._socket.abort()

    async def _watch_transport(self) -> None:
        assert self._socket is not None
        await self._socket.wait_closed()
        code, why = self._socket.close_code, self._socket.close_reason
        self.end(Reason.CLOSED, f"close code {code}{f' ({why})' if why else ''}")
