from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trade_platform.adapters.database.connection import Connection
from trade_platform.cli import cli

Run = Callable[..., Result]


@pytest.fixture
def run(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path / "data"))

    def run(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["tenant", *arguments], input=typed)

    return run


def test_somebody_is_invited_comes_exports_and_goes(run: Run, tmp_path: Path, connection: Connection) -> None:
    outcome = run("invite", "alice", "--accounts", "2", "--signatures", "60")
    assert outcome.exit_code == 0, outcome.output
    token = outcome.stdout.strip()
    assert token not in outcome.stderr
    assert "alice" in run("list").stdout
    assert "alice is here" in run("accept", typed=f"{token}\n").stdout
    assert "unknown, used or too old" in str(run("accept", typed=f"{token}\n").exception)
    assert run("quota", "alice", "--accounts", "3").exit_code == 0
    assert "0 of 3" in run("list").stdout
    exported = run("export", "alice", "--to", str(tmp_path / "out"))
    assert exported.exit_code == 0, exported.output
    [row] = json.loads((tmp_path / "out" / "tenant.json").read_text())
    assert row["slug"] == "alice"
    assert run("export", "alice", "--to", str(tmp_path / "csv"), "--format", "csv").exit_code == 0
    assert "alice" in (tmp_path / "csv" / "tenant.csv").read_text()
    assert run("remove", "alice", typed="n\n").exit_code != 0
    assert "alice" in run("list").stdout
    removed = run("remove", "alice", typed="y\n")
    assert "tenant: 1 rows deleted" in removed.stdout
    assert "alice" not in run("list").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("invite", "Alice"), "is no tenant's name"),
        (("invite", "operator"), "is active already"),
        (("quota", "bob"), "There is no tenant 'bob'"),
        (("remove", "bob", "--yes"), "There is no tenant 'bob'"),
        (("remove", "operator", "--yes"), "cannot be removed"),
        (("export", "bob", "--to", "/nowhere"), "There is no tenant 'bob'"),
        (("export", "operator", "--to", "/proc/nowhere"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Run, arguments: tuple[str, ...], says: str) -> None:
    outcome = run(*arguments)
    assert outcome.exit_code != 0
    assert says in str(outcome.exception)


def test_a_database_without_accounts_says_what_to_run(run: Run, connection: Connection) -> None:
    connection.execute("UPDATE alembic_version SET version_num = '0004'")
    assert "is needed: run" in str(run("list").exception)
