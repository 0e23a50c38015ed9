"""Carries one client's socket: what the server half says goes out in order, what the client says comes in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from aiohttp import WSMsgType, web

from streamers.simulator.exchange import SimulatedExchange
from streamers.simulator.hub import Abort, Close, Conversation, Instruction, Ping, Say

BACKLOG = 200_000
"""Texts that may wait for a slow client; beyond it the connection is dropped."""
CLOSE_SECONDS = 2.0
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
        writer = loop.create_task(self._write())
        try:
            self.put_all(self.conversation.opened(loop.time()))
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
                instructions = self.conversation.receive(text, now)
                self.put_all(instructions)
                exchange.hub.refresh(self.conversation)
            elif message.type is WSMsgType.PING:
                instructions = self.conversation.pinged(now)
                self.put_all(instructions)
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.put_all(self.conversation.ponged(bytes(message.data), now))

    async def _write(self) -> None:
        while not self._over:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                try:
                    await self._perform(self._waiting.popleft())
                except (ConnectionError, RuntimeError):  # the client is gone: its reader will notice
                    self._waiting.clear()
            self._idle.set()

    async def _perform(self, one: str | Instruction) -> None:
        if isinstance(one, str):
            await self._socket.send_str(one)
        elif isinstance(one, Say):
            await self._socket.send_str(one.text)
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
