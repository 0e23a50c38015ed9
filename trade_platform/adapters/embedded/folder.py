"""The data folder of one embedded server: who holds it, where its socket is.

The lock is a kernel lock on ``<folder>/lock`` that the server process itself inherits: it is held exactly
as long as the server lives, whatever becomes of its starter.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from trade_platform.adapters.embedded.failure import EmbeddedError, unwritable
from trade_platform.adapters.process import birth_of

LONGEST_SOCKET_PATH: Final = 100
"""The kernel takes 107 bytes; PostgreSQL's own file name and its lock file need some of them."""
LEAVING_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.02


class Holder(msgspec.Struct, frozen=True):
    """What the lock file says of the server."""

    server: str
    pid: int
    birth: int
    starter: int
    starter_birth: int
    url: str

    @property
    def alive(self) -> bool:
        return self.birth != 0 and birth_of(self.pid) == self.birth

    @property
    def abandoned(self) -> bool:
        """Its starter is gone, so it is on its way out."""
        return birth_of(self.starter) != self.starter_birth


def read_holder(folder: Path) -> Holder | None:
    """Who was written down last; None where nobody was."""
    try:
        return msgspec.json.decode((folder / "lock").read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def running(folder: Path) -> Holder | None:
    """The server that runs on this folder now."""
    holder = read_holder(folder)
    return holder if holder is not None and holder.alive else None


def write_holder(lock: int, holder: Holder) -> None:
    """Say in the lock file who holds it."""
    text = msgspec.json.encode(holder)
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


@contextmanager
def take(folder: Path, patience: float = LEAVING_SECONDS) -> Iterator[int]:
    """Lock the folder: an open file for a server to inherit; raises EmbeddedError that names the holder.

    Waits ``patience`` seconds for a server whose starter is gone, and for the last processes of one that
    was killed; a server that is to stay is refused at once.
    """
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        deadline = time.monotonic() + patience
        while not _lock(lock):
            holder = running(folder)
            if time.monotonic() >= deadline or (holder is not None and not holder.abandoned):
                raise EmbeddedError(_held(folder, holder))
            time.sleep(LOOK_SECONDS)  # the kernel knows no lock with a deadline
        yield lock
    finally:
        os.close(lock)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(folder: Path, holder: Holder | None) -> str:
    if holder is None:
        return (
            f"{folder} is being opened by another process: wait for it, or set DATA_FOLDER to another folder."
        )
    return (
        f"{folder} is in use by {holder.server} (pid {holder.pid}), started by pid {holder.starter}: "
        "stop that run first (trade-platform down), or set DATA_FOLDER to another folder."
    )


def socket_folder(folder: Path, owner: tuple[int, int], file_name: str) -> Path:
    """Where the socket goes: the data folder, or a private one with a short name where that is too long."""
    if len(os.fsencode(folder / file_name)) <= LONGEST_SOCKET_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"trade-platform-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if short.is_symlink() or status.st_uid not in {owner[0], os.geteuid()} or status.st_mode & 0o077:
        raise EmbeddedError(
            f"{short} belongs to somebody else: remove it, or move the checkout to a shorter path."
        )
    if status.st_uid != owner[0]:
        os.chown(short, *owner)
    return short
