"""The ports of an earlier life: who knew them finds the exchanges there again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger()


def read_ports(data_folder: Path) -> dict[str, int]:
    """Exchange → port; empty where nothing is known."""
    try:
        ports = msgspec.json.decode(_path(data_folder).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}
    return {exchange: port for exchange, port in ports.items() if 0 < port < 65_536}


def keep_ports(data_folder: Path, ports: Mapping[str, int]) -> None:
    """Remember them beside those of other exchanges. Without room for it the next life takes new ones."""
    path = _path(data_folder)
    part = path.with_suffix(".part")
    try:
        part.write_bytes(msgspec.json.encode({**read_ports(data_folder), **ports}))
        part.replace(path)
    except OSError as error:
        log.warning("the ports cannot be remembered", path=str(path), error=error.strerror)


def _path(data_folder: Path) -> Path:
    """Not among the run files, which a clean exit removes."""
    return data_folder / "ledger" / "ports.json"
