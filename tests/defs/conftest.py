"""A Dagster instance of the test's own, and the stores of the test's servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.processors.feeding import EXCHANGE, NOON
from trade_platform.defs.stores import Stores
from trade_platform.domain.market_clock import MarketClock
from trade_platform.domain.model import MINUTE


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """With its storage on disk: what a tick asks of it needs that."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def stores(postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """The market's clock stands two hours after noon, and goes on; one exchange is selected."""
    selection = tmp_path / "instruments.toml"
    selection.write_text(f'[[record]]\nexchange = "{EXCHANGE}"\nsymbols = ["*"]\nchannels = ["trade"]\n')
    monkeypatch.setenv("INSTRUMENTS_FILE", str(selection))
    clock = MarketClock(origin=NOON + 120 * MINUTE, anchor=time.monotonic())
    monkeypatch.setenv("MARKET_CLOCK", clock.to_text())
    return Stores(database_url=postgres_url, redis_url=redis_url, data_folder=str(tmp_path / "data"))
