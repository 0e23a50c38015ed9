"""Dagster's home folder of this data folder, and the files of the checkout that it is made of."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
INSTANCE: Final = CHECKOUT / "dagster_home" / "dagster.yaml"
WORKSPACE: Final = CHECKOUT / "workspace.yaml"
LOOPBACK: Final = "127.0.0.1"


class NoDagsterHome(Exception):
    """The folder cannot be made; the sentence says what to do."""


def home_of(data_folder: Path) -> Path:
    """What DAGSTER_HOME is in a run: logs of runs, the instance's configuration, the password."""
    return data_folder.absolute() / "dagster"


def password_file_of(data_folder: Path) -> Path:
    """Of the role that owns Dagster's database."""
    return home_of(data_folder) / "database.password"


def make_home(data_folder: Path) -> Path:
    """The folder with today's dagster.yaml, for our eyes alone; raises NoDagsterHome."""
    home = home_of(data_folder)
    if not INSTANCE.is_file():
        raise NoDagsterHome(
            f"{INSTANCE} is not there: start from the project's checkout, or with --no-dagster."
        )
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = home / "dagster.yaml.part"
        part.write_bytes(INSTANCE.read_bytes())
        part.replace(home / "dagster.yaml")
    except OSError as error:
        raise NoDagsterHome(
            f"{home} cannot be written ({error.strerror}): set DATA_FOLDER to a folder of yours."
        ) from error
    return home


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])


def is_open(host: str, port: int) -> bool:
    """Somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True
