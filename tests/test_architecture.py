"""The import rules of pyproject.toml hold, and they would notice an arrow that points backwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINT = [
    sys.executable,
    "-c",
    "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())",
    "--no-cache",
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        LINT, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(folder)}
    )


def test_imports_flow_one_way(repository: Path) -> None:
    outcome = lint(repository)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("trade_platform/domain/model.py", "trade_platform.adapters.clock", "Imports flow one way"),
        ("trade_platform/exchanges/session.py", "trade_platform.adapters.bus", "Imports flow one way"),
        ("trade_platform/adapters/clock.py", "trade_platform.operations", "Imports flow one way"),
        ("trade_platform/adapters/bus.py", "streamers", "Nothing imports the streamers"),
        ("trade_platform/exchanges/session.py", "asyncio", "do no I/O"),
        ("trade_platform/domain/model.py", "time", "do no I/O"),
        ("streamers/__init__.py", "sqlalchemy", "A streamer stays light"),
        ("trade_platform/adapters/clock.py", "trade_platform.settings", "Settings are read"),
        ("trade_platform/processors/plan.py", "trade_platform.vault.secret", "Secrets are opened"),
    ],
)
def test_an_arrow_turned_round_is_found(
    repository: Path, tmp_path: Path, module: str, imported: str, contract: str
) -> None:
    for package in ("trade_platform", "streamers"):
        shutil.copytree(
            repository / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(repository / "pyproject.toml", tmp_path)
    path = tmp_path / module
    path.write_text(f"{path.read_text()}\n\nimport {imported}\n")
    outcome = lint(tmp_path)
    assert outcome.returncode == 1, outcome.stderr
    [broken] = [line for line in outcome.stdout.splitlines() if line.endswith("BROKEN") and contract in line]
    assert broken
