"""Metrics and health: /metrics and /healthz of one process, on loopback, answered by its own event loop.

An answer from the loop that does the work proves that the loop turns; a thread would answer for a
process that hangs. Thirty lines of HTTP cost no memory; a web framework would cost a streamer 10 MB.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

LOOPBACK: Final = "127.0.0.1"
REQUEST_SECONDS: Final = 5.0
REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class PortTaken(Exception):
    """The metrics port cannot be opened; the sentence says which and what to do."""


class Health(msgspec.Struct, frozen=True):
    """What /healthz says."""

    ok: bool
    reason: str = ""
    """Why not, in a sentence; empty when all is well."""
    details: dict[str, str | float | bool | None] = {}


class HealthServer:
    """An open port that answers /metrics and /healthz; made by ``serve_health``."""

    def __init__(self, health: Callable[[], Health], registry: CollectorRegistry) -> None:
        self._health = health
        self._registry = registry
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """As it stands in the run file."""
        return f"http://{LOOPBACK}:{self.port}"

    async def open(self, port: int) -> None:
        """Listen on the port, 0 for any free one; raises PortTaken."""
        try:
            self._server = await asyncio.start_server(self._answer, LOOPBACK, port)
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            raise PortTaken(
                f"Port {port} on {LOOPBACK} {why}: set METRICS_PORT to a free port, or to 0 for any."
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await reader.readline()
                while (await reader.readline()).strip():
                    pass  # headers say nothing that we need
                status, kind, body = self._respond(request.decode("latin-1").split())
                writer.write(
                    f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                )
                writer.write(body)
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the asker went away or talks no HTTP: nobody to answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _respond(self, request: list[str]) -> tuple[int, str, bytes]:
        method, path = (*request, "", "")[:2]
        if method != "GET":
            return 405, "text/plain", b"only GET\n"
        match path.partition("?")[0]:
            case "/metrics":
                return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)
            case "/healthz":
                health = self._health()
                return 200 if health.ok else 503, "application/json", msgspec.json.encode(health) + b"\n"
            case _:
                return 404, "text/plain", b"there are /metrics and /healthz\n"


async def serve_health(
    port: int, health: Callable[[], Health], registry: CollectorRegistry = REGISTRY
) -> HealthServer:
    """Open /metrics and /healthz; the answer is a context that closes the port when it is left."""
    server = HealthServer(health, registry)
    await server.open(port)
    return server
