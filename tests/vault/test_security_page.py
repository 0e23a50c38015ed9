"""docs/security.md promises nothing without a test, and the tests that it names are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

NAMED = re.compile(r"`((?:[\w/]*test_\w+\.py)(?:::\w+)?|…\w+…?)`")


def rows(repository: Path) -> list[tuple[str, str]]:
    """(promise, what proves it) of each line below "Promised"."""
    text = (repository / "docs" / "security.md").read_text(encoding="utf-8")
    promised = text.partition("## Promised")[2].partition("## Not promised")[0]
    cells = [line.strip("|").split("|") for line in promised.splitlines() if line.startswith("|")]
    return [
        (row[0].strip(), row[1].strip())
        for row in cells
        if row[0].strip() != "promise" and "---" not in row[0]
    ]


def names_in(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return [
        node.name for node in ast.walk(tree) if isinstance(node, functions) and node.name.startswith("test")
    ]


def test_every_promise_names_what_proves_it(repository: Path) -> None:
    promises = rows(repository)
    assert len(promises) > 20
    unproven = [
        promise for promise, proof in promises if not NAMED.search(proof) and "foreign keys" not in proof
    ]
    assert unproven == []


def test_what_is_named_is_there(repository: Path) -> None:
    files = {path.name: path for path in (repository / "tests").rglob("test_*.py")}
    files |= {path.name: path for path in (repository / "tests" / "vault").glob("test_*.py")}
    for promise, proof in rows(repository):
        path: Path | None = None
        for name in NAMED.findall(proof):
            if name.startswith("…"):
                wanted = name.strip("…")
            else:
                file, _, wanted = name.partition("::")
                path = repository / file if "/" in file else files.get(file)
            assert path is not None, f"{promise}: {name}"
            assert path.exists(), f"{promise}: {name}"
            if not any(wanted in test for test in names_in(path)):
                pytest.fail(f"{promise}: {path.name} has no test {wanted}")
