"""The append-only file of a Redis that is not running any more: cut, as a crash of the machine does."""

from __future__ import annotations

import os
from pathlib import Path


class Log:
    """The newest part of it; commands are written whole, so that a length once read ends with one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "appendonlydir"

    @property
    def length(self) -> int:
        """Bytes now."""
        return self._newest.stat().st_size

    def cut(self, length: int) -> int:
        """Forget what is behind; the answer is how many bytes that were."""
        newest = self._newest
        more = newest.stat().st_size - length
        if more > 0:
            os.truncate(newest, length)
        return max(more, 0)

    @property
    def _newest(self) -> Path:
        return max(self._folder.glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
