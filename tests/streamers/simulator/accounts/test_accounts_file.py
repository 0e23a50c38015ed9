"""The file of accounts: what it says, and sentences where it is wrong."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from streamers.simulator.accounts.accounts_file import UnusableAccounts, read_accounts
from tests.streamers.simulator.accounts.desks import signature, spec

ONE: dict[str, Any] = {
    "exchange": "deribit",
    "name": "main",
    "key_id": "K",
    "algorithm": "hmac_sha256",
    "secret": "S",
    "scopes": "account:read trade:read wallet:read",
    "permissions": {"withdraw": False, "trade": True, "ip_restricted": True},
    "balances": {"BTC": "10.00000001"},
    "seed": 3,
    "orders_per_minute": 12,
}


def written(folder: Path, *accounts: Any) -> Path:
    path = folder / "accounts.json"
    path.write_text(json.dumps(accounts))
    return path


def test_a_file_is_read_exactly(tmp_path: Path) -> None:
    (one,) = read_accounts(written(tmp_path, ONE))
    assert str(one.balances["BTC"]) == "10.00000001"
    assert one.scope == "account:read trade:read_write wallet:read"


@pytest.mark.parametrize(
    ("accounts", "says"),
    [
        ([ONE | {"exchange": "kraken"}], "there is no exchange kraken"),
        ([ONE | {"secret": ""}], "main has no secret"),
        ([ONE | {"algorithm": "ed25519"}], "main has no public_key"),
        ([ONE | {"balances": {"BTC": "-1"}}], "must not be negative"),
        ([ONE | {"name": "a b"}], "letters, digits and hyphens"),
        ([ONE, ONE | {"key_id": "L"}], "has name main twice"),
        ([ONE, ONE | {"name": "b"}], "has key_id K twice"),
        ([ONE | {"pasword": "x"}], "unknown field"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, accounts: list[Any], says: str) -> None:
    with pytest.raises(UnusableAccounts, match=says):
        read_accounts(written(tmp_path, *accounts))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnusableAccounts, match="cannot be read"):
        read_accounts(tmp_path / "none.json")


def test_signatures_of_both_kinds() -> None:
    assert spec().signed("text", signature("SECRET", "text"))
    assert not spec().signed("text", signature("OTHER", "text"))
    assert not spec().signed("other", signature("SECRET", "text"))
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    key = ed25519.Ed25519PrivateKey.generate()
    one = spec(algorithm="ed25519", public_key=b64encode(key.public_key().public_bytes_raw()).decode())
    assert one.signed("text", b64encode(key.sign(b"text")).decode())
    assert not one.signed("other", b64encode(key.sign(b"text")).decode())
    assert not one.signed("text", "no signature")
