"""Carries one client's socket: what the server half says goes out in order, what the client says comes in."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Iterable

from aiohttp import WSMsgType, web

from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.hub import Abort, Close, Conversation, Fragments, Instruction, Ping, Say

BACKLOG = 200_000
"""Texts that may wait for a slow client; beyond it the connection is dropped."""
TEXT, CONTINUATION = 1, 0
DROPPED = 1006
"""What a connection without a close frame is called; it never stands on the wire."""


class Carrier:
    """One connection: a queue, a task that empties it, and the loop that reads."""

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, conversation: Conversation
    ) -> None:
        self.conversation = conversation
        self._socket = socket
        self._request = request
        self._waiting: deque[str | Instruction] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._over = False
        self.sent_code: int | None = None
        """With which code we ended it; None while we have not."""

    def put(self, one: str | Instruction) -> None:
        """Queue a text or an instruction."""
        if len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            one = Abort()
        self._waiting.append(one)
        self._idle.clear()
        self._wake.set()

    def put_all(self, instructions: Iterable[Instruction]) -> None:
        for one in instructions:
            self.put(one)

    async def flushed(self) -> None:
        """Everything queued was handed to the socket."""
        await self._idle.wait()

    async def run(self, exchange: SimulatedExchange) -> None:
        """Talk until either side ends."""
        loop = asyncio.get_running_loop()
        writer = loop.create_task(self._write(exchange))
        try:
            self.put_all(exchange.reception.opened(self.conversation, loop.time()))
            exchange.hub.join(self.conversation)
            await self._read(exchange)
        finally:
            exchange.hub.leave(self.conversation)
            self._over = True
            self._idle.set()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _read(self, exchange: SimulatedExchange) -> None:
        loop = asyncio.get_running_loop()
        async for message in self._socket:
            now = loop.time()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                text = (
                    message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
                )
                instructions = exchange.reception.hear(self.conversation, text, now)
                self.put_all(instructions)
                exchange.hub.refresh(self.conversation)
            elif message.type is WSMsgType.PING:
                instructions = self.conversation.pinged(now)
                self.put_all(instructions)
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.put_all(self.conversation.ponged(bytes(message.data), now))

    async def _write(self, exchange: SimulatedExchange) -> None:
        while not self._over:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._dawdle(exchange)
                if not self._waiting:
                    break  # dropped meanwhile
                try:
                    await self._perform(self._waiting.popleft())
                except (ConnectionError, RuntimeError):  # the client is gone: its reader will notice
                    self._waiting.clear()
            self._idle.set()

    async def _dawdle(self, exchange: SimulatedExchange) -> None:
        """A slow server takes its time before every frame."""
        slow = exchange.troubles.latest("slow", asyncio.get_running_loop().time())
        if slow:
            exchange.troubles.count("slow")
            await asyncio.sleep(slow.delay)

    async def _perform(self, one: str | Instruction) -> None:
        if isinstance(one, str):
            await self._socket.send_str(one)
        elif isinstance(one, Say):
            await self._socket.send_str(one.text)
        elif isinstance(one, Fragments):
            self._write_fragments(one.text.encode())
        elif isinstance(one, Ping):
            await self._socket.ping(one.payload)
        elif isinstance(one, Close):
            self._waiting.clear()
            self.sent_code = one.code
            await self._socket.close(code=one.code, message=one.reason.encode(), drain=False)
        elif isinstance(one, Abort):
            self._waiting.clear()
            self.sent_code = DROPPED
            if self._request.transport is not None:
                self._request.transport.abort()

    def _write_fragments(self, payload: bytes) -> None:
        """One message in three frames (RFC 6455, 5.4), which aiohttp itself never sends."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return
        third = max(len(payload) // 3, 1)
        parts = [payload[:third], payload[third : 2 * third], payload[2 * third :]]
        for place, part in enumerate(parts):
            opcode = TEXT if place == 0 else CONTINUATION
            transport.write(_head(opcode, len(part), final=place == len(parts) - 1) + part)


def _head(opcode: int, length: int, *, final: bool) -> bytes:
    """The head of an unmasked frame."""
    first = (0x80 if final else 0) | opcode
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)
