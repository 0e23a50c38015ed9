from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from streamers import socket as socket_module
from streamers.socket import Socket, open_socket
from tests.streamers.waiting import until

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Listener:
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.chunks = 0
        self.more = True

    def chunk_ended(self) -> bool:
        self.chunks += 1
        return self.more

    def start(self, socket: Socket) -> None:
        socket.start(self.messages.append, self.chunk_ended, lambda: 42)


async def test_messages_come_in_order_whole_and_with_those_that_were_sent_first() -> None:
    async def talk(server: ServerConnection) -> None:
        await server.send("first")
        await server.send(["in ", "three ", "frames"])
        await server.send(b"binary")
        for number in range(2000):
            await server.send(f"{number}" * 50)
        await server.wait_closed()

    listener = Listener()
    async with talking(talk) as url:
        socket = await open_socket(url)
        await asyncio.sleep(0)  # what comes before start is kept
        listener.start(socket)
        await until(lambda: len(listener.messages) == 2003)
        assert listener.messages[:3] == [b"first", b"in three frames", b"binary"]
        assert listener.messages[-1] == b"1999" * 50
        assert socket.receive_time == 42
        assert socket.bytes > 200_000
        await socket.close()


async def test_a_holder_that_wants_no_more_stops_the_reading_until_it_does() -> None:
    async def talk(server: ServerConnection) -> None:
        for number in range(100_000):
            await server.send(f"{number}" * 100)

    listener = Listener()
    listener.more = False
    async with talking(talk) as url:
        socket = await open_socket(url)
        listener.start(socket)
        await until(lambda: listener.chunks > 3)
        read = len(listener.messages)
        assert read < 50_000  # the rest waits in the kernels, and at the server
        listener.more = True
        await until(lambda: len(listener.messages) > read)
        socket.transport.abort()


async def test_what_is_in_flight_while_we_close_is_still_handed_over() -> None:
    closing = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        await closing.wait()
        for number in range(10):
            await server.send(f"{number}")

    listener = Listener()
    async with talking(talk) as url:
        socket = await open_socket(url)
        listener.start(socket)
        closing.set()
        await asyncio.gather(socket.close(), until(lambda: len(listener.messages) == 10))


async def test_a_message_too_long_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "MAXIMUM_MESSAGE", 1000)

    async def talk(server: ServerConnection) -> None:
        await server.send("x" * 2000)
        await server.wait_closed()

    listener = Listener()
    async with talking(talk) as url:
        socket = await open_socket(url)
        listener.start(socket)
        await socket.wait_closed()
        assert listener.messages == []


async def test_pings_of_the_server_are_answered() -> None:
    answered = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        await (await server.ping())
        answered.set()

    async with talking(talk) as url:
        socket = await open_socket(url)
        Listener().start(socket)
        await answered.wait()
        await socket.close()


async def test_a_send_that_is_stuck_does_not_hide_that_nobody_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_module, "PING_SECONDS", 0.05)

    async def talk(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await server.wait_closed()

    async with talking(talk) as url:
        socket = await open_socket(url)
        Listener().start(socket)
        stuck = asyncio.create_task(socket.send("x" * 50_000_000))
        await until(lambda: not socket.alive())
        assert not stuck.done()
        socket.abort()
        await asyncio.wait({stuck})


async def test_a_peer_that_only_answers_pings_is_alive_and_one_that_talks_is_not_pinged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pings = 0

    async def talk(server: ServerConnection) -> None:
        await server.wait_closed()

    async with talking(talk) as url:
        socket = await open_socket(url)
        Listener().start(socket)
        sent = socket.protocol.send_ping

        def counted(data: bytes) -> None:
            nonlocal pings
            pings += 1
            sent(data)

        monkeypatch.setattr(socket.protocol, "send_ping", counted)
        assert socket.alive()
        assert not pings
        heard = socket.bytes
        for _ in range(3):
            socket._heard_at -= 1.5 * socket_module.PING_SECONDS
            assert socket.alive()
            await until(lambda heard=heard: socket.bytes > heard)
            heard = socket.bytes
        assert pings == 3
        await socket.close()
