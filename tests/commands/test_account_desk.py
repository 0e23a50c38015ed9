"""Keys of simulated accounts are taken by the real private sides of the exchanges, and checked again."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trade_platform.adapters.process import CannotStart, read_run
from trade_platform.cli import cli
from trade_platform.commands.account_desk import account_exchange
from trade_platform.vault.signing import generate, public_raw

PAIR = generate()
READS = {"withdraw": False, "trade": False, "ip_restricted": True}
ACCOUNTS = [
    {"exchange": "deribit", "name": "one", "key_id": "D", "secret": "of deribit", "permissions": READS},
    {"exchange": "deribit", "name": "two", "key_id": "W", "secret": "of two",
     "permissions": {"withdraw": True}},
    {"exchange": "binance_spot", "name": "one", "key_id": "S", "algorithm": "ed25519",
     "public_key": public_raw(PAIR), "permissions": READS},
    {"exchange": "binance_usdm", "name": "one", "key_id": "U", "secret": "of usdm", "permissions": READS},
]  # fmt: skip
GIVEN = {
    "deribit": ("D", "of deribit", ()),
    "binance_spot": ("S", base64.b64encode(PAIR.reveal()).decode(), ("--ed25519",)),
    "binance_usdm": ("U", "of usdm", ()),
}


@pytest.fixture
def market(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The simulated exchanges; commands find them by their settings."""
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(ACCOUNTS))
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    with (tmp_path / "simulator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamers.simulator", "--accounts", str(file)], stderr=log, stdout=log
        )
    try:
        while (run := read_run(tmp_path / "run" / "simulator.json")) is None:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        monkeypatch.setenv("DATABASE_URL", postgres_url)
        for key, urls in run.urls.items():
            monkeypatch.setenv(f"{key.upper()}_REST_URL", urls["rest"])
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def account(*arguments: str, secret: str = "") -> Result:
    reading, writing = os.pipe()
    os.write(writing, secret.encode())
    os.close(writing)
    try:
        given = ("--secret-fd", str(reading)) if secret else ()
        return CliRunner().invoke(cli, ["account", *arguments, *given])
    finally:
        os.close(reading)


def test_keys_of_every_exchange_are_taken_and_checked(market: None) -> None:
    for exchange, (key_id, secret, options) in GIVEN.items():
        name = f"operator.{exchange.replace('_', '-')}"
        taken = account("add", name, "--exchange", exchange, "--key-id", key_id, *options, secret=secret)
        assert taken.exit_code == 0, (taken.output, taken.exception)
        assert "may trade" not in taken.stderr
    refused = account("add", "operator.two", "--exchange", "deribit", "--key-id", "W", secret="of two")
    assert "may withdraw" in str(refused.exception)
    wrong = account("add", "operator.three", "--exchange", "deribit", "--key-id", "D", secret="another's")
    assert "invalid_credentials" in str(wrong.exception)
    checked = account("check")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.count("✓") == len(GIVEN)


def test_an_exchange_without_a_private_side_is_named() -> None:
    assert account_exchange("deribit").key == "deribit"
    with pytest.raises(CannotStart, match="no private side of 'mtgox'"):
        account_exchange("mtgox")


TYPING = """
import sys
from trade_platform.commands.account_desk import secret_from_person
from trade_platform.vault.secret import Secret
sys.exit(0 if secret_from_person(None) == Secret("canary-typed") else 1)
"""


def test_a_secret_typed_by_a_person_is_not_echoed() -> None:
    """A real terminal: what is typed at the prompt is not written back to it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TYPING], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""
    while not seen.endswith(b"(it is not shown): "):  # its last letter comes once nothing is echoed
        seen += os.read(ours, 1000)
    os.write(ours, b"canary-typed\n")
    with contextlib.suppress(OSError):  # so a terminal says that its other end is gone
        while piece := os.read(ours, 1000):
            seen += piece
    os.close(ours)
    assert process.wait(30) == 0
    assert b"canary" not in seen
