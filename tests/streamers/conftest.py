from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.streamers.fictional import FictionalServer
from tests.streamers.waiting import Bus


@pytest.fixture
def bus(redis_url: str) -> Iterator[Bus]:
    bus = Bus(redis_url)
    yield bus
    bus.close()


@pytest.fixture
async def server() -> AsyncIterator[FictionalServer]:
    async with FictionalServer() as server:
        yield server
