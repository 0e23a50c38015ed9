"""A secret in memory: it shows itself to nobody who does not ask for it by name."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, Self

HIDDEN: Final = "***"


class Secret:
    """Bytes that no repr, format, log, traceback, pickle or JSON shows; overwritten when it is left.

    Overwriting is best effort: what the interpreter and the crypto library copied is theirs to forget.
    """

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes | bytearray | str) -> None:
        self._bytes = bytearray(value.encode() if isinstance(value, str) else value)

    def reveal(self) -> bytes:
        """What it is; for the crypto library alone."""
        return bytes(self._bytes)

    def forget(self) -> None:
        """Overwrite it. Repeatable."""
        self._bytes[:] = bytes(len(self._bytes))
        self._bytes.clear()

    def __len__(self) -> int:
        return len(self._bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes, other._bytes)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied to another place")
