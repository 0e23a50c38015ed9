from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.vault_client import VaultClient, VaultRefused, VaultUnavailable, short, socket_of
from trade_platform.vault.enrolment import revoke
from trade_platform.vault.keeper import Keeper
from trade_platform.vault.server import LONGEST_TEXT, Meters, VaultServer

Take = Callable[..., None]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def path(keeper: Keeper, tmp_path: Path, registry: CollectorRegistry) -> AsyncIterator[Path]:
    """Of the socket at which a vault listens, deeper than the kernel takes a socket's path."""
    path = socket_of(tmp_path / ("deep" * 30))
    async with VaultServer(keeper, path, Meters(registry)):
        yield path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="tp-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


async def say(path: Path, line: bytes) -> dict[str, object]:
    with short(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    told: dict[str, object] = msgspec.json.decode(answer)
    return told


async def test_a_client_is_told_who_an_account_is_and_gets_signatures(
    path: Path, keeper: Keeper, take: Take, connection: Connection
) -> None:
    take("operator.main", secret="AMANDASECRECT", key_id="AMANDA")
    client = VaultClient(path)
    facts = await client.describe("operator.main")
    assert (facts.account, facts.exchange, facts.key.key_id) == ("operator.main", "deribit", "AMANDA")
    assert await client.accounts() == [facts]
    signature = await client.sign("operator.main", "login", "1576074319000\n1iqt2wls\n")
    assert signature == "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1"
    [(actor,)] = connection.execute("SELECT actor FROM secret_access WHERE purpose = 'login'").fetchall()
    assert actor.startswith(f"user {os.getuid()}, process {os.getpid()}: ")


async def test_many_ask_at_once_and_each_gets_its_own(path: Path, take: Take) -> None:
    take("operator.main")
    client = VaultClient(path)
    texts = [f"text {number}" for number in range(40)]
    asked = [client.sign("operator.main", "test", text) for text in texts]
    together = await asyncio.gather(*asked)
    assert together == [await client.sign("operator.main", "test", text) for text in texts]
    assert len(set(together)) == 40


async def test_who_is_unknown_or_revoked_is_refused(path: Path, keeper: Keeper, take: Take) -> None:
    client = VaultClient(path)
    with pytest.raises(VaultRefused, match="There is no account"):
        await client.describe("operator.main")
    take("operator.main")
    assert await client.sign("operator.main", "login", "text")
    revoke(keeper, "operator.main", actor="test")
    with pytest.raises(VaultRefused, match="was revoked"):
        await client.sign("operator.main", "login", "text")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"rubbish\n",
        b"[]\n",
        b'{"do":1}\n',
        b'{"do":"reveal","account":"operator.main"}\n',
        b"\xff\xfe\n",
    ],
)
async def test_what_is_no_question_is_refused_and_the_vault_goes_on(path: Path, line: bytes) -> None:
    assert (await say(path, line)).keys() == {"error"}
    assert await say(path, b'{"do":"accounts"}\n') == {"accounts": []}


async def test_texts_without_a_purpose_or_beyond_measure_are_refused(path: Path, take: Take) -> None:
    take("operator.main")
    with pytest.raises(VaultRefused, match="wants a purpose"):
        await VaultClient(path).sign("operator.main", "", "text")
    with pytest.raises(VaultRefused, match="nothing that an exchange"):
        await VaultClient(path).sign("operator.main", "login", "x" * (LONGEST_TEXT + 1))


async def test_a_fault_of_ours_ends_one_question_and_shows_nothing(
    path: Path, take: Take, connection: Connection
) -> None:
    take("operator.main")
    connection.execute("REVOKE INSERT ON secret_access FROM trade_platform_vault")
    with pytest.raises(VaultUnavailable, match="its log says why"):
        await VaultClient(path).sign("operator.main", "login", "text")
    connection.execute("GRANT INSERT ON secret_access TO trade_platform_vault")
    assert await VaultClient(path).sign("operator.main", "login", "text")


async def test_a_database_that_is_away_is_told_from_a_refusal(
    path: Path, keeper: Keeper, take: Take, connection: Connection
) -> None:
    take("operator.main")
    connection.execute("SELECT pg_terminate_backend(%s, 10000)", (keeper.connection.info.backend_pid,))
    with pytest.raises(VaultUnavailable, match="database does not answer"):
        await VaultClient(path).sign("operator.main", "login", "text")
    assert await VaultClient(path).sign("operator.main", "login", "text")


async def test_the_socket_is_its_owner_s_alone(path: Path) -> None:
    assert mode(path) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_kept_out(
    keeper: Keeper, registry: CollectorRegistry, open_folder: Path
) -> None:
    path = open_folder / "vault.sock"
    async with VaultServer(keeper, path, Meters(registry)):
        assert "PermissionError" in await asyncio.to_thread(_ask_as, 65534, path)
        await asyncio.to_thread(path.chmod, 0o666)  # where somebody opened it by mistake
        assert "its own user alone" in await asyncio.to_thread(_ask_as, 65534, path)
        assert "accounts" in await asyncio.to_thread(_ask_as, 0, path)


def _ask_as(user: int, path: Path) -> str:
    program = (
        "import socket\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        f"s.connect({str(path)!r})\n"
        's.sendall(b\'{"do":"accounts"}\\n\')\n'
        "print(s.recv(1000))\n"
    )
    outcome = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", program] if user else [sys.executable, "-I", "-c", program],
        user=user, extra_groups=[], capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    return outcome.stdout + outcome.stderr


async def test_a_second_vault_is_refused_and_what_a_killed_one_left_is_not(
    path: Path, keeper: Keeper, registry: CollectorRegistry, tmp_path: Path
) -> None:
    with pytest.raises(CannotStart, match=r"listens at .* already"):
        await VaultServer(keeper, path, Meters(CollectorRegistry())).__aenter__()
    assert await VaultClient(path).accounts() == []
    left = tmp_path / "run" / "vault.sock"
    left.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as killed, short(left) as name:
        killed.bind(name)
    async with VaultServer(keeper, left, Meters(CollectorRegistry())):
        assert await VaultClient(left).accounts() == []
    assert not left.exists()


async def test_questions_are_counted_without_saying_whose(
    path: Path, take: Take, registry: CollectorRegistry
) -> None:
    take("operator.main", key_id="the-key-id")
    await VaultClient(path).sign("operator.main", "login", "text")
    with pytest.raises(VaultRefused):
        await VaultClient(path).sign("operator.other", "login", "text")
    page = generate_latest(registry).decode()
    assert 'vault_questions_total{do="sign",outcome="done"} 1.0' in page
    assert 'vault_questions_total{do="sign",outcome="refused"} 1.0' in page
    assert "operator" not in page
    assert "the-key-id" not in page
