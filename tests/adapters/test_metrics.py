from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter

from trade_platform.adapters.metrics import Health, PortTaken, serve_health


async def test_metrics_and_health_are_served_on_a_free_port() -> None:
    registry = CollectorRegistry()
    Counter("messages", "Messages.", ["exchange"], registry=registry).labels("deribit").inc(3)
    state = Health(ok=True, details={"lag_seconds": 0.5})
    async with await serve_health(0, lambda: state, registry) as server, ClientSession(server.url) as client:
        async with client.get("/metrics") as answer:
            assert answer.status == 200
            assert 'messages_total{exchange="deribit"} 3.0' in await answer.text()
        async with client.get("/healthz") as answer:
            assert answer.status == 200
            assert await answer.json() == {"ok": True, "reason": "", "details": {"lag_seconds": 0.5}}
        state = Health(ok=False, reason="Redis is away.")
        async with client.get("/healthz") as answer:
            assert answer.status == 503
            assert (await answer.json())["reason"] == "Redis is away."


async def test_what_else_is_asked_is_refused() -> None:
    async with (
        await serve_health(0, lambda: Health(ok=True)) as server,
        ClientSession(server.url) as client,
    ):
        async with client.get("/secrets") as answer:
            assert answer.status == 404
        async with client.post("/metrics") as answer:
            assert answer.status == 405


@pytest.mark.parametrize(
    "rubbish", [b"", b"\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET /healthz\r\n\r\n", b"x" * 70_000]
)
async def test_rubbish_does_not_disturb_it(rubbish: bytes) -> None:
    async with await serve_health(0, lambda: Health(ok=True)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(rubbish)
        writer.write_eof()
        with suppress(ConnectionResetError):  # it may hang up with some of the rubbish unread
            await reader.read()
        writer.close()
        async with ClientSession(server.url) as client, client.get("/healthz") as answer:
            assert json.loads(await answer.read())["ok"]


async def test_a_taken_port_is_one_sentence() -> None:
    async with await serve_health(0, lambda: Health(ok=True)) as server:
        with pytest.raises(PortTaken, match=f"Port {server.port} .* is in use: set METRICS_PORT"):
            await serve_health(server.port, lambda: Health(ok=True))
