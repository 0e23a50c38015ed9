from __future__ import annotations

import pytest

from tests.processors.feeding import Feeder
from trade_platform.adapters.database.connection import Connection


@pytest.fixture
def feeder(connection: Connection) -> Feeder:
    return Feeder(connection)
