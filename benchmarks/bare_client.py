"""The limit of a streamer: the same WebSocket library, the same frames, and nothing done with them.

``python -m benchmarks.bare_client URL FRAMES count|decode`` subscribes, takes the frames of one burst and
prints its own cost as JSON. ``count`` only counts; ``decode`` makes a typed record of each, as cheaply as
msgspec and Decimal allow.
"""

from __future__ import annotations

import os
import sys
import time
from decimal import Decimal

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.frames import SYMBOLS, stream_name
from benchmarks.procfs import memory_of
from trade_platform.adapters.process import die_with_parent


class Trade(msgspec.Struct, gc=False):
    s: str
    a: int
    p: Decimal
    q: Decimal
    f: int
    l: int  # noqa: E741
    T: int
    m: bool


class Envelope(msgspec.Struct, gc=False):
    stream: str
    data: Trade


class Cost(msgspec.Struct, frozen=True):
    """What one burst cost the client."""

    messages: int
    cpu_seconds: float
    peak_megabytes: float


async def take(url: str, frames: int, *, decode: bool) -> Cost:
    """Subscribe and take one burst."""
    async with connect(
        f"{url}/market/stream", compression=None, ping_interval=None, proxy=None, max_size=None
    ) as socket:
        request = {"method": "SUBSCRIBE", "params": [stream_name(one) for one in SYMBOLS], "id": 1}
        await socket.send(msgspec.json.encode(request).decode())
        for _ in range(1 + len(SYMBOLS)):  # the answer, and each symbol's first trade
            await socket.recv()
        before = time.process_time()
        messages = await (_decode(socket, frames) if decode else _count(socket, frames))
        cost = time.process_time() - before
    return Cost(messages, cost, memory_of(os.getpid()).peak)


async def _count(socket: ClientConnection, frames: int) -> int:
    receive, messages = socket.recv, 0
    while messages < frames:
        await receive(decode=False)
        messages += 1
    return messages


async def _decode(socket: ClientConnection, frames: int) -> int:
    receive, messages = socket.recv, 0
    decode = msgspec.json.Decoder(Envelope).decode
    while messages < frames:
        decode(await receive(decode=False))
        messages += 1
    return messages


if __name__ == "__main__":
    die_with_parent()
    _, url, frames, what = sys.argv
    print(msgspec.json.encode(uvloop.run(take(url, int(frames), decode=what == "decode"))).decode())
