"""Captured private messages, and ways to talk with a session that holds no socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.binance.private.talk import HMAC, NOW, said, signed
from trade_platform.exchanges.account import AccountSession, Obtain, Sign
from trade_platform.exchanges.binance.private import SpotAccounts, UsdmAccounts


@pytest.fixture(scope="session")
def message(captures: Path) -> Callable[[str], str]:
    """One captured message: ``message("binance_spot/balance_update")``."""

    def read(name: str) -> str:
        return (captures / "messages" / f"{name}.json").read_text(encoding="utf-8")

    return read


@pytest.fixture(scope="session")
def lifecycle(captures: Path) -> Callable[[str], list[dict[str, Any]]]:
    """The lines of a recorded order's life."""

    def read(name: str) -> list[dict[str, Any]]:
        path = captures / "messages" / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    return read


@pytest.fixture
def spot() -> AccountSession:
    """A spot session that was let in."""
    session = SpotAccounts().session(HMAC)
    (sign,) = session.opened(0.0, NOW)
    assert isinstance(sign, Sign)
    _, outputs = signed(sign, HMAC)
    number = said(outputs)[0]["id"]
    session.receive(f'{{"id":{number},"status":200,"result":{{"subscriptionId":0}}}}', NOW)
    assert session.live
    return session


@pytest.fixture
def usdm() -> AccountSession:
    """A USD-M session with its key, and open."""
    session = UsdmAccounts().session(HMAC)
    (obtain,) = session.before(0.0, NOW)
    assert isinstance(obtain, Obtain)
    assert obtain.then(b'{"listenKey":"abc"}') == ()
    session.opened(0.0, NOW)
    return session
