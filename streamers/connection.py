"""One connection from its opening to its end: carries texts to a session and performs what it says."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import structlog
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from streamers.publisher import Inlet, Publisher
from streamers.socket import Socket, open_socket
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient, RestUnavailable
from trade_platform.domain.model import Channel, Record
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

TICK_SECONDS = 0.25
ODD_SECONDS = 60.0
ODD_MESSAGES = 20
"""More messages than these that cannot be read, in so long, and the connection is opened anew."""
ODD_FROM_THE_START = 5
"""As many, and nothing else so far: this is another protocol."""
ODD_REPORT_SECONDS = 1.0

log = structlog.get_logger()


class Ending(msgspec.Struct, frozen=True):
    """How a connection ended."""

    reason: Reason
    detail: str = ""
    after_seconds: float = 0.0
    lived_seconds: float = 0.0
    delivered: bool = False


class Holder(Protocol):
    """Who holds a connection and hears of it."""

    def delivering(self, connection: Connection) -> None:
        """Its first market data came; an accepted connection and heartbeats are none."""

    def rotation_wished(self, connection: Connection) -> None:
        """The server announced its end: a successor is to be opened while this one still delivers."""

    def missing(self, connection: Connection, missing: Missing) -> None:
        """Trades were jumped over. All that came before them is sealed, none that follows."""

    def odd(self, since: int, until: int, detail: str) -> None:
        """Messages came in [since, until) that could not be read."""

    def event(self, record: Record) -> None:
        """An event passed, and was published."""


class Surroundings(msgspec.Struct, frozen=True):
    """What every connection of a process shares."""

    publisher: Publisher
    rest: RestClient
    clock: Clock
    tls: ssl.SSLContext | None = None
    compression: str | None = None


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
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._errands: asyncio.TaskGroup | None = None
        self._questions: set[asyncio.Task[None]] = set()
        self._changed: Sequence[Wanted] | None = None
        """A selection that came before the socket was open."""
        self.violations = 0
        """Messages that could not be read."""
        self._odd_times: deque[float] = deque(maxlen=ODD_MESSAGES + 1)
        self._odd: tuple[int, int, str] | None = None
        """Since, until and the last complaint, not told yet."""
        self._odd_told = -math.inf

    async def run(self) -> Ending:
        """Open, carry on until the end, close. Never raises on what a network or an exchange does."""
        try:
            self._socket = await open_socket(
                self._url, tls=self._around.tls, compression=self._around.compression
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError) as error:
            return _refusal(error, self._url)
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
            self._tell_odd(math.inf)
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
        outputs = self.session.change(wanted, self._around.clock.monotonic())
        if before != set(self.session.subscriptions):
            self._around.publisher.seal()
            self._inlet.since = 0  # a channel that comes back must not join what it was before
        self.perform(outputs)

    @property
    def since(self) -> int:
        """Market time of its first data; 0 before."""
        return self._inlet.since

    async def _carry(self) -> Ending:
        assert self._socket is not None
        async with asyncio.TaskGroup() as self._errands:
            tasks = [
                self._errands.create_task(work)
                for work in (self._send_all(), self._tick(), self._watch_transport())
            ]
            self.perform(self.session.opened(self._around.clock.monotonic()))
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
            self._note_odd(str(error))
            return
        buffers = self._buffers
        for output in outputs:
            buffer = buffers.get(type(output))  # type: ignore[arg-type]
            if buffer is None:
                self._perform(output)
            else:
                buffer.append(output)  # type: ignore[arg-type]

    def _note_odd(self, error: str) -> None:
        """One message that cannot be read must not cost the many others that can."""
        assert self._socket is not None
        now, at = self._around.clock.monotonic(), self._socket.receive_time
        self.violations += 1
        self._odd_times.append(now)
        self._odd = (self._odd[0] if self._odd is not None else at, at + 1, error)
        self._tell_odd(now)
        many = len(self._odd_times) > ODD_MESSAGES and now - self._odd_times[0] <= ODD_SECONDS
        if many or self.violations == self.messages == ODD_FROM_THE_START:
            self.end(Reason.PROTOCOL, error)

    def _tell_odd(self, now: float) -> None:
        if self._odd is not None and now - self._odd_told >= ODD_REPORT_SECONDS:
            odd, self._odd, self._odd_told = self._odd, None, now
            self._holder.odd(*odd)

    def _chunk_ended(self) -> bool:
        publisher = self._around.publisher
        if any(self._buffers.values()):
            self._note_data()
            publisher.touch()
        return not publisher.blocked

    def _note_data(self) -> None:
        assert self._socket is not None
        if any(self._buffers.values()):
            self.last_data_time = self._socket.receive_time
            if not self._inlet.since:
                self._inlet.since = self._socket.receive_time
            if not self.delivered:
                self.delivered = True
                self._holder.delivering(self)

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
                self._outbox.put_nowait(output.text)
            case Missing():
                self._around.publisher.seal()
                self._holder.missing(self, output)
            case Rest():
                if self._errands is not None and not self._ending.done():
                    question = self._errands.create_task(self._ask(output))
                    self._questions.add(question)
                    question.add_done_callback(self._questions.discard)
            case Reconnect(reason=Reason.SHUTDOWN):
                self._holder.rotation_wished(self)
            case Reconnect():
                self.end(output.reason, output.detail, output.after_seconds)
            case _:
                self._around.publisher.event(output)
                self._holder.event(output)

    async def _ask(self, rest: Rest) -> None:
        try:
            body = await self._around.rest.fetch(rest.request)
            outputs = rest.parse(body)
        except (RestError, RestUnavailable, ProtocolViolation) as error:
            outputs = rest.failed(str(error)) if rest.failed is not None else ()
        self.perform(outputs)

    async def _send_all(self) -> None:
        assert self._socket is not None
        while True:
            text = await self._outbox.get()
            try:
                await self._socket.send(text)
            except ConnectionClosed:
                return  # _watch_transport says so

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            assert self._socket is not None
            self.bytes = self._socket.bytes
            now = self._around.clock.monotonic()
            self._tell_odd(now)
            self.perform(self.session.due(now))

    async def _watch_transport(self) -> None:
        assert self._socket is not None
        await self._socket.wait_closed()
        protocol: Any = self._socket.protocol
        if (
            protocol.close_rcvd is None
            and protocol.close_sent is not None
            and protocol.close_sent.code == 1011
        ):
            self.end(Reason.TRANSPORT_SILENT, "no answer to pings")
        else:
            code, why = self._socket.close_code, self._socket.close_reason
            self.end(Reason.CLOSED, f"close code {code}{f' ({why})' if why else ''}")


def _refusal(error: Exception, url: str) -> Ending:
    host = url.split("/", 3)[2]
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        after = error.response.headers.get("Retry-After", "")
        reason = {418: Reason.RATE_LIMITED, 429: Reason.RATE_LIMITED, 503: Reason.MAINTENANCE}.get(
            status, Reason.UNREACHABLE
        )
        return Ending(reason, f"{host} answered HTTP {status}", float(after) if after.isdecimal() else 0.0)
    if isinstance(error, TimeoutError):
        return Ending(Reason.UNREACHABLE, f"{host} did not answer in time")
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return Ending(Reason.UNREACHABLE, f"{host} cannot be reached: {why}")
