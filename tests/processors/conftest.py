from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processors.feeding import Feeder
from trade_platform.adapters.database.connection import Connection, connect


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with connect(postgres_url, name="test") as connection:
        yield connection


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    return Feeder(connection)
