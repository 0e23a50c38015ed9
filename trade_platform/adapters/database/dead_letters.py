"""Dead letters: entries that could not be read and records that PostgreSQL refused, with the error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection

WHOLE_ENTRY: Final = -1
_INSERT: Final = """
INSERT INTO dead_letter (stream, entry_id, position, kind, exchange, data, error)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be stored, and why."""

    entry_id: str
    position: int
    """Of the record in its batch, from 0; WHOLE_ENTRY for an entry that cannot be read at all."""
    kind: str
    exchange: str
    data: bytes
    """As it stood on the bus."""
    error: str


def write_dead_letters(connection: Connection, stream: str, letters: Iterable[DeadLetter]) -> None:
    """Once each: the same entry leaves the same letters."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _INSERT,
            [
                (
                    stream,
                    letter.entry_id,
                    letter.position,
                    _printable(letter.kind),
                    _printable(letter.exchange),
                    letter.data,
                    _printable(letter.error),
                )
                for letter in letters
            ],
        )


def _printable(text: str) -> str:
    """PostgreSQL's text holds everything but NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()
