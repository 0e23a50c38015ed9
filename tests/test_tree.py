"""The shape of the repository: tests mirror it, and nothing in it knows one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from itertools import combinations
from pathlib import Path

PACKAGES = ("trade_platform", "streamers")
UNTESTED: dict[str, str] = {
    "streamers/simulator/carrier.py": "tests/streamers/simulator/test_server.py runs the process",
    "streamers/simulator/certificate.py": "tests/streamers/simulator/test_server.py connects by TLS",
}
"""Module → why it has no test of its own. A ``__main__`` needs no entry: tests/end_to_end runs it."""


def tracked(repository: Path) -> list[Path]:
    """Files of the project: those that git knows or would take."""
    listed = subprocess.run(
        ["git", "-C", repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := repository / name).is_file()]


def has_code(path: Path) -> bool:
    """Does it define or do anything? A package's docstring and re-exports do not."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in nodes)


def mirrored(module: Path) -> Path:
    """The folder of tests that mirrors the module's."""
    parts = module.parent.parts
    return Path("tests", *(parts[1:] if parts[0] == "trade_platform" else parts))


def has_test_file(repository: Path, module: Path) -> bool:
    """A file of its own at the mirrored place, or one file for its whole package."""
    folder = repository / mirrored(module)
    name = module.parent.name if module.name == "__init__.py" else module.stem
    return (folder / f"test_{name}.py").exists() or (folder.parent / f"test_{folder.name}.py").exists()


def imports_of(path: Path) -> set[str]:
    """Every module, and every name of one, that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@cache
def reached(repository: Path, folder: Path) -> set[str]:
    """What the tests of a folder import, and what that imports in turn inside the folder that they mirror."""
    siblings = {
        ".".join(path.relative_to(repository).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (repository / folder).glob("*.py")
    }
    found: set[str] = set()
    tests = (repository / mirrored(folder / "any.py")).glob("*.py")  # what tests share, too
    new = set().union(*map(imports_of, tests)) & siblings.keys()
    while new:
        found |= new
        new = (set().union(*(imports_of(siblings[name]) for name in new)) & siblings.keys()) - found
    return found


def test_every_module_has_its_tests_at_the_mirrored_place(repository: Path) -> None:
    """A test file of its name, one for its whole package, or tests in the mirrored folder that reach it."""
    without = [
        str(module)
        for package in PACKAGES
        for path in sorted((repository / package).rglob("*.py"))
        if path.name != "__main__.py" and "migrations" not in path.parts and has_code(path)
        if str(module := path.relative_to(repository)) not in UNTESTED
        and not has_test_file(repository, module)
        and ".".join(module.with_suffix("").parts) not in reached(repository, module.parent)
    ]
    assert without == [], "\n" + "\n".join(without)


def test_every_exception_is_still_one(repository: Path) -> None:
    assert [name for name in UNTESTED if not (repository / name).exists()] == []


MACHINE = re.compile(
    # Put together here, so that this file does not name what it forbids.
    "|".join(
        (
            r"/(?:home|Users)/[a-z]",
            r"/root/",
            "/" + r"work/",
            "/" + r"tmp/[a-z]",
            "pypi" + r"\.org",
            "python" + "hosted",
            r"index-" + "url[ =]+http",
        )
    )
)
MAY_SPEAK_OF_ROOT = {"tests/test_tree.py"}


def test_no_file_names_a_machine_s_path_or_a_registry(repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)}:{number}: {line.strip()[:100]}"
        for path in tracked(repository)
        if str(path.relative_to(repository)) not in MAY_SPEAK_OF_ROOT
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_lock_files_agree_with_each_other(repository: Path) -> None:
    locks = {path.name: pins(path) for path in (repository / "requirements").glob("*.txt")}
    assert {"streamer.txt", "platform.txt", "development.txt", "uv.txt"} <= set(locks)
    for (one, first), (other, second) in combinations(locks.items(), 2):
        differing = {name for name in first.keys() & second.keys() if first[name] != second[name]}
        assert not differing, f"{one} and {other} pin different versions of {differing}"


def test_every_pin_has_a_hash(repository: Path) -> None:
    for path in (repository / "requirements").glob("*.txt"):
        entries = re.split(r"^(?=[a-z0-9])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_a_streamer_s_lock_stays_light(repository: Path) -> None:
    heavy = {"sqlalchemy", "psycopg", "alembic", "pandas", "dagster", "b2sdk", "click", "rich", "pytest"}
    assert not heavy & pins(repository / "requirements" / "streamer.txt").keys()


def test_everything_that_we_forbid_streamers_is_forbidden_by_the_contract(repository: Path) -> None:
    configuration = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {entry["name"]: entry for entry in configuration["tool"]["importlinter"]["contracts"]}
    assert {"sqlalchemy", "psycopg"} <= set(contracts["A streamer stays light"]["forbidden_modules"])
