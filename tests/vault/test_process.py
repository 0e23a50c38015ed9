"""The vault as a process: it starts, signs, stops; and a planted secret turns up nowhere around it."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.process import Run, read_run
from trade_platform.adapters.vault_client import VaultClient, VaultRefused, VaultUnavailable, socket_of

Take = Callable[..., None]

CANARY = "canary-7d2f4b60c1e94a3d"


@pytest.fixture
def surroundings(tmp_path: Path, postgres_url: str, key_folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": postgres_url,
        "DATA_FOLDER": str(tmp_path / "data"),
        "VAULT_KEYS": str(key_folder),
        "LOG_LEVEL": "debug",
    }


@contextmanager
def running(environment: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], Run]]:
    """A vault that is ready; stopped at the end, and it must end well."""
    data = Path(environment["DATA_FOLDER"])
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "trade_platform.vault"], env=environment, stderr=file
        )
    try:
        while (run := read_run(data / "run" / "vault.json")) is None:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        yield process, run
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0, log.read_text()
    assert not socket_of(data).exists()
    assert not (data / "run" / "vault.json").exists()


def spellings(secret: str) -> list[bytes]:
    """The secret, and the forms in which a program might let it out."""
    raw = secret.encode()
    inner = base64.b64encode(raw)[:-4]  # its end depends on what follows
    return [raw, raw.hex().encode(), raw[::-1], inner, repr(raw)[2:-1].encode()]


def where(secret: str, places: dict[str, bytes]) -> list[str]:
    return [name for name, held in places.items() for form in spellings(secret) if form in held]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def proc(kind: str) -> dict[str, bytes]:
    found = {}
    for path in Path("/proc").glob(f"[0-9]*/{kind}"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue  # it ended, or it is none of ours
    return found


def page(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        return content


async def test_a_planted_secret_turns_up_nowhere(
    surroundings: dict[str, str], tmp_path: Path, take: Take, connection: Connection
) -> None:
    take("operator.main", secret=CANARY)
    take("operator.broken", secret=CANARY)
    connection.execute(
        "UPDATE credential SET sealed_secret = sealed_secret || 'x' FROM account a "
        "WHERE a.account_id = credential.account_id AND a.key = 'operator.broken'"
    )
    log = tmp_path / "vault.log"
    with running(surroundings, log) as (process, run):
        client = VaultClient(socket_of(tmp_path / "data"))
        signature = await client.sign("operator.main", "login", "text")
        told = [repr(await client.describe("operator.main")), repr(await client.accounts()), signature]
        for account in ("operator.broken", "operator.unknown"):
            with pytest.raises(VaultRefused) as refused:
                await client.sign(account, "login", "text")
            told.append(str(refused.value))
        connection.execute("REVOKE INSERT ON secret_access FROM trade_platform_vault")
        with pytest.raises(VaultUnavailable) as failed:  # a fault of ours: a traceback in the log
            await client.sign("operator.main", "login", "text")
        places = {
            "answers": "\n".join([*told, str(failed.value)]).encode(),
            "metrics": page(f"{run.metrics}/metrics"),
            "health": page(f"{run.metrics}/healthz"),
            **proc("cmdline"),
            **proc("environ"),
        }
        assert f"/proc/{process.pid}/environ" in places
    places |= files(tmp_path)
    for table in ("tenant", "account", "credential", "secret_access", "invitation"):
        rows = connection.execute(f"SELECT t::text FROM {table} t").fetchall()
        places[f"table {table}"] = "\n".join(row for (row,) in rows).encode()
    assert b"Traceback" in places[str(log)] or b"exception" in places[str(log)]
    assert b"operator.broken" in places["answers"]
    assert b'outcome="done"' in places["metrics"]
    assert where(CANARY, places) == []
    assert where(CANARY, {"planted": f"x {CANARY} y".encode(), "hex": CANARY.encode().hex().encode()}) == [
        "planted", "planted", "hex",
    ]  # fmt: skip


async def test_its_health_tells_a_database_that_went_away_from_one_that_is_there(
    surroundings: dict[str, str], tmp_path: Path, take: Take
) -> None:
    take("operator.main")
    with running(surroundings, tmp_path / "vault.log") as (_, run):
        assert b'"ok":true' in page(f"{run.metrics}/healthz")
        assert run.name == "vault"


def test_its_memory_is_not_for_other_programs(surroundings: dict[str, str], tmp_path: Path) -> None:
    with running(surroundings, tmp_path / "vault.log") as (process, _):
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        [core] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]
        # what cannot be dumped belongs to root in /proc, whoever runs it
        assert Path(f"/proc/{process.pid}/environ").stat().st_uid == 0


@pytest.mark.parametrize(
    ("statement", "undo", "says"),
    [
        (
            "ALTER ROLE trade_platform_vault SUPERUSER",
            "ALTER ROLE trade_platform_vault NOSUPERUSER",
            "row-level",
        ),
        (
            "ALTER ROLE trade_platform_vault BYPASSRLS",
            "ALTER ROLE trade_platform_vault NOBYPASSRLS",
            "row-level",
        ),
        ("UPDATE alembic_version SET version_num = '0004'", "SELECT 1", "is needed: run"),
        (
            "REVOKE SELECT ON alembic_version FROM trade_platform_vault",
            "SELECT 1",
            "older than accounts are: run",
        ),
    ],
)
def test_it_does_not_start_where_it_would_see_too_much_or_too_little(
    surroundings: dict[str, str], connection: Connection, statement: str, undo: str, says: str
) -> None:
    connection.execute(statement)
    try:
        outcome = start(surroundings)
    finally:
        connection.execute(undo)
    assert outcome.returncode == 1
    assert says in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_what_is_wrong_with_its_surroundings_is_one_sentence(
    surroundings: dict[str, str], key_folder: Path
) -> None:
    outcome = start({**surroundings, "DATABASE_URL": ""})
    assert (outcome.returncode, outcome.stderr.count("\n")) == (2, 1)
    (key_folder / "2026").chmod(0o444)
    outcome = start(surroundings)
    assert (outcome.returncode, outcome.stderr.count("\n")) == (1, 1)
    assert "run chmod 0400" in outcome.stderr
    (key_folder / "2026").chmod(0o400)
    outcome = start({**surroundings, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    assert outcome.returncode == 1
    assert "does not answer" in outcome.stderr


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trade_platform.vault"], env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
