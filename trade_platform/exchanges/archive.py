"""The seam to files of the past that an exchange publishes: which file holds a day, and what its rows mean.

No I/O: whoever has the files (``adapters/archive.py``) hands over lines of text, one row each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

import msgspec

from trade_platform.domain.model import Candle, Channel, Trade


class ArchiveFile(msgspec.Struct, frozen=True):
    """One published file: a zip with one table of text in it."""

    path: str
    """Below the archive's root, without a leading slash."""
    checksum: str
    """Path of the text that begins with the file's SHA-256, as 64 hexadecimal digits."""
    channel: Channel


class Archive(Protocol):
    """All that is known about one exchange's archive."""

    url: str
    """Where it is published; files lie below it."""

    def files(self, symbol: str, channel: Channel, day: date) -> Sequence[ArchiveFile]:
        """Those that may hold the day, the preferred first; none where no file ever will."""

    def is_header(self, line: str) -> bool:
        """Whether the first line of a file names columns."""

    def sequence(self, line: str) -> int:
        """The number of a trade's row, without reading the rest. Raises ProtocolViolation."""

    def trade(self, line: str, symbol: str, channel: Channel, receive_time: int) -> Trade:
        """Equal to what REST gives for the same trade. Raises ProtocolViolation, and nothing else."""

    def candle(self, line: str, symbol: str, receive_time: int) -> Candle:
        """Likewise for a minute."""
