"""What a client makes of a vault that is not there, or not itself; tests/vault asks a real one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from trade_platform.adapters import vault_client
from trade_platform.adapters.vault_client import VaultClient, VaultRefused, VaultUnavailable


async def answering(path: Path, answer: bytes) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_unix_server(serve, str(path))


async def test_a_vault_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VaultUnavailable, match="does not answer: start it"):
        await VaultClient(tmp_path / "vault.sock").describe("operator.main")
    with pytest.raises(VaultUnavailable, match="does not answer: start it"):
        await VaultClient(tmp_path / ("deep" * 40) / "vault.sock").accounts()


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (b"", VaultUnavailable, "in the middle of its answer"),
        (b'{"signature":"ab', VaultUnavailable, "in the middle of its answer"),
        (b"hello\n", VaultUnavailable, "not answer as the vault of this version"),
        (b'{"other":1}\n', VaultUnavailable, "not answer as the vault of this version"),
        (b'{"error":"No."}\n', VaultRefused, "No."),
        (b'{"error":"Later.","later":true}\n', VaultUnavailable, "Later."),
    ],
)
async def test_other_answers_than_a_signature_are_never_one(
    tmp_path: Path, answer: bytes, kind: type[Exception], says: str
) -> None:
    async with await answering(tmp_path / "vault.sock", answer):
        with pytest.raises(kind, match=says):
            await VaultClient(tmp_path / "vault.sock").sign("operator.main", "login", "text")


async def test_a_vault_that_hangs_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()  # until the client goes
        writer.close()

    monkeypatch.setattr(vault_client, "ANSWER_SECONDS", 0.05)
    async with await asyncio.start_unix_server(hang, str(tmp_path / "vault.sock")):
        with pytest.raises(VaultUnavailable, match="did not answer within"):
            await VaultClient(tmp_path / "vault.sock").accounts()
        assert asked.is_set()


def test_the_client_is_light() -> None:
    """A streamer has neither the database's driver nor the ciphers."""
    program = (
        "import sys, trade_platform.adapters.vault_client\n"
        "assert not {'psycopg', 'cryptography', 'sqlalchemy', 'click'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
