"""How a book outlives its process: every event is a line of a file, and a restart folds them in again."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from streamers.simulator.accounts.book_shapes import BookEvent


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """The first line: what the account began with."""

    balances: dict[str, Decimal]
    time: int


Line = Opening | BookEvent


class Journal:
    """One account's file; without a path it remembers nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def read(self) -> Iterator[Line]:
        """Every whole line, in order; a last one that was cut off is taken away. Raises OSError."""
        if self.path is None or not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self.path.open("r+b") as file:
                file.truncate(whole)
        decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
        for line in data[:whole].splitlines():
            yield decoder.decode(line)

    def write(self, lines: Iterable[Line]) -> None:
        """Append all of it or nothing; raises OSError."""
        if self.path is None:
            return
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        if data:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                before = file.seek(0, os.SEEK_END)
                if file.write(data) < len(data):
                    file.truncate(before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
