"""A vault on a fresh database, with keys of its own; and a second tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trade_platform.adapters.database import tenants
from trade_platform.adapters.database.connection import Connection
from trade_platform.exchanges.account import Algorithm
from trade_platform.vault.enrolment import Enrolment, enrol
from trade_platform.vault.keeper import Keeper
from trade_platform.vault.keyring import add
from trade_platform.vault.keys import Keys
from trade_platform.vault.secret import Secret


@pytest.fixture
def key_folder(tmp_path: Path) -> Path:
    """With one key-encryption key, as an operator keeps it."""
    folder = tmp_path / "keys"
    folder.mkdir()
    add(folder, "2026").chmod(0o400)
    return folder


@pytest.fixture
def keys(key_folder: Path) -> Keys:
    return Keys(key_folder, strict=True)


@pytest.fixture
def keeper(postgres_url: str, keys: Keys) -> Iterator[Keeper]:
    with Keeper(postgres_url, keys) as keeper:
        yield keeper


@pytest.fixture
def take(keeper: Keeper) -> Callable[..., None]:
    """Takes a key for an account: ``take("operator.main", secret="…")``."""

    def take(account: str, *, secret: str = "secret", key_id: str = "key", exchange: str = "deribit") -> None:
        enrolment = Enrolment(key_id=key_id, algorithm=Algorithm.HMAC_SHA256, secret=Secret(secret))
        enrol(keeper, account, exchange, enrolment, actor="test")

    return take


@pytest.fixture
def alice(connection: Connection) -> str:
    """The id of a second tenant."""
    tenants.accept(connection, tenants.invite(connection, "alice", days=1).token)
    return tenants.tenant_id_of(connection, "alice")
