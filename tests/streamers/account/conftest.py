from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.streamers.account.fake import FakeServer, FakeVault


@pytest.fixture
async def exchange() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def vault(server_folder: Path, tmp_path: Path) -> AsyncIterator[FakeVault]:
    """In a short folder: the kernel takes no long name of a socket."""
    path = server_folder / f"{abs(hash(tmp_path)):x}.sock"
    async with FakeVault(path) as vault:
        yield vault
