"""Stands between the platform and its Redis: passes on, slowly where told, or loses an answer and cuts."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Final, Self

CHUNK: Final = 256 * 1024
ENTRY: Final = b"XADD"
"""What tells the connection of a publisher."""


class Relay:
    """One port in a thread of its own; ``with`` ends it."""

    def __init__(self, socket_path: str) -> None:
        self.delay = 0.0
        """Seconds that each portion waits on its way, either way."""
        self.swallow = 0
        """Answers to publishers that will be lost, with the connection."""
        self.swallowed = 0
        self.delayed = 0
        self.port = 0
        self._path = socket_path
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="relay", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, downstream = await asyncio.open_unix_connection(self._path)
        except OSError:
            writer.close()  # as a server that is gone
            return
        wrote = asyncio.Event()
        there = asyncio.ensure_future(self._pass(reader, downstream, wrote, asking=True))
        back = asyncio.ensure_future(self._pass(upstream, writer, wrote, asking=False))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            for one in (writer, downstream):
                one.close()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        wrote: asyncio.Event,
        *,
        asking: bool,
    ) -> None:
        """One direction, until either side ends or an answer is lost."""
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self.delay:
                    self.delayed += 1
                    await asyncio.sleep(self.delay)
                if asking and ENTRY in data:
                    wrote.set()
                if not asking and wrote.is_set() and self.swallow > 0:
                    self.swallow -= 1
                    self.swallowed += 1
                    return
                sink.write(data)
                await sink.drain()
