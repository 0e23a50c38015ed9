from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import structlog

from tests.exactly_once.bus import Server
from tests.exactly_once.model import World
from trade_platform.adapters.embedded import Server as Embedded
from trade_platform.processors import drain


@pytest.fixture
def world(
    two_databases: tuple[str, str],
    redis_server: Callable[..., Embedded],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setattr(drain, "PATIENCE_SECONDS", 0.001)
    parameters = {"appendonly": "no", "stream-node-max-entries": "1"}  # trimming is exact then
    server = Server(redis_server(parameters=parameters).url)
    made = World(server, two_databases[0])
    with structlog.testing.capture_logs():
        yield made
    made.connection.close()
    server.client.close()
    made.loop.close()
