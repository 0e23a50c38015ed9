"""A WebSocket that hands over each message where it is parsed, without a queue or a task in between.

``websockets`` does the protocol; its frames are taken where the library would queue them for ``recv``
(``process_event``, by the hook ``create_connection``). That spares a third of the cost of a message. Reading
pauses after each chunk until the loop has turned, so that a burst starves nobody, and for as long
as the holder wishes: then TCP holds the exchange back.
"""

from __future__ import annotations

import asyncio
import socket as sockets
import ssl
from collections.abc import Callable
from typing import Any

from aiohappyeyeballs import start_connection
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Opcode
from websockets.protocol import Event, State
from websockets.uri import parse_uri

REACH_SECONDS = 4.0
"""For the host's kernel to answer: a packet that a broken network swallowed is sent again after one and three
seconds, then only after seven; a new attempt finds sooner that the network is back."""
OPEN_SECONDS = 10.0
"""For the handshakes after that."""
STAGGER_SECONDS = 0.25
"""Until a host's next address is tried beside one that does not answer."""
PING_SECONDS = 8.0
"""Of silence until a ping, and for anything to come after it: a half-open connection is noticed after twice
this. Where data come no ping is needed; Binance counts pings as messages."""
UNACKNOWLEDGED_SECONDS = 10.0
"""The kernel ends a connection whose peer acknowledges nothing that was sent for so long."""
CLOSE_SECONDS = 2.0
MAXIMUM_MESSAGE = 16 * 1024 * 1024
MOST_FRAGMENTS = 100_000
"""Of one message."""
CHUNK_BYTES = 32 * 1024
"""A chunk above this is a burst: others get their turn before the next."""
PAUSED_SECONDS = 0.1


class Socket(ClientConnection):
    """Calls ``received`` for every message and ``chunk_ended`` after those that came together.

    What comes before ``start`` waits: a server may speak first.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.receive_time = 0
        """Market time when the chunk came that is being handled."""
        self.bytes = 0
        self._early: list[bytes] = []
        self._received: Callable[[bytes], None] = self._early.append
        self._chunk_ended: Callable[[], bool] = lambda: True
        self._market: Callable[[], int] = lambda: 0
        self._fragments: list[bytes] = []
        self._started = False
        self._ended = False
        self._heard_at = self.loop.time()
        self._pinged = False

    def start(
        self, received: Callable[[bytes], None], chunk_ended: Callable[[], bool], market: Callable[[], int]
    ) -> None:
        """Hand messages over from now on. ``chunk_ended`` says whether more may be read."""
        self._received, self._chunk_ended, self._market = received, chunk_ended, market
        self._started = True
        self.receive_time = market()
        for message in self._early:
            received(message)
        self._early.clear()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """A chunk from the transport."""
        self.receive_time = self._market()
        self._heard_at, self._pinged = self.loop.time(), False
        self.bytes += len(data)
        super().data_received(data)
        if self._started:
            more = self._chunk_ended()
            if not more or len(data) > CHUNK_BYTES:
                self.transport.pause_reading()
                self.loop.call_later(0.0 if more else PAUSED_SECONDS, self._go_on)
        elif self.response is not None:
            self.transport.pause_reading()

    def process_event(self, event: Event) -> None:
        """One frame, or the answer to the handshake."""
        if self.response is None:
            super().process_event(event)
            return
        opcode = event.opcode  # type: ignore[union-attr]
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
            data = bytes(event.data)  # type: ignore[union-attr]
            if not event.fin:  # type: ignore[union-attr]
                self._fragments.append(data)
                if len(self._fragments) > MOST_FRAGMENTS:  # their bytes are bounded, empty ones have none
                    self.transport.abort()
            elif self._fragments:
                message = b"".join([*self._fragments, data])
                self._fragments.clear()
                self._received(message)
            else:
                self._received(data)
        else:
            super().process_event(event)

    def alive(self, *, listening: bool = True) -> bool:
        """Has anything been heard of the peer, be it the answer to a ping? Asked often; pings by itself.

        A ping is written without waiting for room: what the peer does not take must not hide that it is gone.
        While we do not listen nothing can be heard, and nothing follows from that.
        """
        if not listening:
            self._heard_at, self._pinged = self.loop.time(), False
        silent = self.loop.time() - self._heard_at
        if silent > PING_SECONDS and not self._pinged and self.protocol.state is State.OPEN:
            self._pinged = True
            self.protocol.send_ping(b"")
            self.send_data()
        return silent <= 2 * PING_SECONDS

    def abort(self) -> None:
        """Nobody is there to say goodbye to."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._ended = True
        super().connection_lost(exc)

    def _go_on(self) -> None:
        if self._ended or self.transport.is_closing():
            return
        if self._chunk_ended():
            self.transport.resume_reading()
        else:
            self.loop.call_later(PAUSED_SECONDS, self._go_on)


async def open_socket(
    url: str,
    *,
    tls: ssl.SSLContext | None = None,
    compression: str | None = None,
    guarded: bool = True,
) -> Socket:
    """Connect, once; raises OSError, TimeoutError or websockets' InvalidHandshake and InvalidURI.

    Compression is off unless it is asked for: it costs more than the rest of a message together.
    ``guarded``: the kernel watches whether the peer acknowledges what is sent.
    """
    options: dict[str, Any] = {"ssl": tls} if tls is not None and url.startswith("wss:") else {}
    socket = await connect(
        url,
        sock=await _reach(url),
        create_connection=Socket,
        compression=compression,
        open_timeout=OPEN_SECONDS,
        ping_interval=None,  # ``Socket.alive``
        close_timeout=CLOSE_SECONDS,
        max_size=MAXIMUM_MESSAGE,
        max_queue=64,
        proxy=None,
        **options,
    )
    assert isinstance(socket, Socket)
    if guarded:
        _guard(socket)
    return socket


async def _reach(url: str) -> sockets.socket:
    """A connected TCP socket. Raises OSError, TimeoutError, InvalidURI."""
    uri = parse_uri(url)
    async with asyncio.timeout(REACH_SECONDS):
        addresses = await asyncio.get_running_loop().getaddrinfo(uri.host, uri.port, type=sockets.SOCK_STREAM)
        return await start_connection(addresses, happy_eyeballs_delay=STAGGER_SECONDS)


def _guard(socket: Socket) -> None:
    option = getattr(sockets, "TCP_USER_TIMEOUT", None)  # Linux has it
    raw = socket.transport.get_extra_info("socket")
    if option is not None and raw is not None and raw.family != getattr(sockets, "AF_UNIX", None):
        raw.setsockopt(sockets.IPPROTO_TCP, option, round(UNACKNOWLEDGED_SECONDS * 1000))
