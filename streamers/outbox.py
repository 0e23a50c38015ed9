"""What a session wants said: in order, and where the host counts it, when the host's limit has room."""

from __future__ import annotations

import asyncio

from websockets.exceptions import ConnectionClosed

from streamers.socket import Socket
from trade_platform.adapters.budget import Budget
from trade_platform.exchanges.session import Send

MOST_TEXTS = 1000
"""Who does not take so many takes nothing any more."""


class Outbox:
    """Texts of one connection on their way."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._ready: asyncio.Queue[str] = asyncio.Queue(MOST_TEXTS)
        self._counted: asyncio.Queue[Send] = asyncio.Queue(MOST_TEXTS)
        """These wait for their turn without keeping others waiting: a heartbeat must be answered at once."""

    def put(self, send: Send) -> bool:
        """Say this soon; False where there is no room, because the other side does not read."""
        if len(self) >= MOST_TEXTS:
            return False
        if send.limit:
            if send.turn is not None:
                send.turn.waiting = True
            self._counted.put_nowait(send)
        else:
            self._ready.put_nowait(send.text)
        return True

    def __len__(self) -> int:
        return self._ready.qsize() + self._counted.qsize()

    async def run(self, socket: Socket) -> None:
        """Until cancelled, or the socket is closed."""
        async with asyncio.TaskGroup() as group:
            admitting = group.create_task(self._admit())
            while True:
                text = await self._ready.get()
                try:
                    await socket.send(text)
                except ConnectionClosed:
                    break  # whoever watches the transport says so
            admitting.cancel()

    async def _admit(self) -> None:
        while True:
            send = await self._counted.get()
            await self._budget.take(send.limit)
            if send.turn is not None:
                send.turn.waiting = False
            await self._ready.put(send.text)
