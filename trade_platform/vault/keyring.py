"""Key-encryption keys: secret files, named by their ids, never in the database or its backups.

Several live side by side: the last by name seals, all of them open. So a rotation is a new file, a
re-wrap, and the removal of the old file, with the vault running all the while.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trade_platform.vault.secret import Secret

KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}")


class KeysUnusable(Exception):
    """The key-encryption keys cannot be used; the sentence says which file and what to do."""


class UnknownKey(Exception):
    """Something is sealed with a key-encryption key that is not here; the sentence names it."""


class Keyring:
    """All key-encryption keys by their ids."""

    def __init__(self, keys: Mapping[str, Secret]) -> None:
        if not keys:
            raise KeysUnusable("There is no key-encryption key.")
        self._keys = dict(keys)

    @property
    def newest(self) -> str:
        """The id of the one that seals: the last by name."""
        return max(self._keys)

    @property
    def ids(self) -> list[str]:
        return sorted(self._keys)

    def key(self, kek_id: str) -> Secret:
        """Raises UnknownKey."""
        try:
            return self._keys[kek_id]
        except KeyError:
            raise UnknownKey(
                f"The key-encryption key {kek_id!r} is not here (there are {', '.join(self.ids)}): "
                "put its file back into the folder of keys."
            ) from None

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.ids)})"


def load(folder: Path, *, strict: bool) -> Keyring:
    """All keys of a folder; ``strict``: each file may be read by its owner and nothing else (0400).

    Raises KeysUnusable.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise KeysUnusable(
            f"The folder of keys {folder} cannot be read ({error.strerror}): set VAULT_KEYS to one that can."
        ) from error
    if not paths:
        raise KeysUnusable(
            f"{folder} holds no key: make one with `umask 377 && openssl rand -hex 32 > {folder}/ID`."
        )
    return Keyring({_id_of(path): _read(path, strict=strict) for path in paths})


def ensure(folder: Path) -> bool:
    """Make the folder and a first key where there is none yet; True: it was made now. Raises KeysUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            return False
        add(folder, datetime.now(UTC).strftime("%Y%m%d"))
    except FileExistsError:  # another process was faster
        return False
    except OSError as error:
        raise KeysUnusable(
            f"No key can be made in {folder} ({error.strerror}): check the permissions of DATA_FOLDER."
        ) from error
    return True


def add(folder: Path, kek_id: str) -> Path:
    """Make a new key, whole or not at all. Raises FileExistsError, OSError."""
    path = folder / kek_id
    unfinished = folder / f".{kek_id}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(unfinished)  # unlike a rename, it never replaces what is there
    finally:
        unfinished.unlink()
    return path


def _id_of(path: Path) -> str:
    if not _ID.fullmatch(path.name):
        raise KeysUnusable(
            f"{path} is not named like a key (letters, digits, - and _): rename it, or move it elsewhere."
        )
    return path.name


def _read(path: Path, *, strict: bool) -> Secret:
    """From the very file whose permissions were looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KeysUnusable(
            f"The key {path} cannot be read ({error.strerror}): give it to this user."
        ) from error
    try:
        _check(path, os.fstat(descriptor), strict=strict)
        text = bytearray(os.read(descriptor, 4 * KEY_BYTES))
    finally:
        os.close(descriptor)
    try:
        key = Secret(bytes.fromhex(text.decode("ascii").strip()))
    except ValueError:
        raise KeysUnusable(_no_key(path)) from None
    finally:
        text[:] = bytes(len(text))
    if len(key) != KEY_BYTES:
        raise KeysUnusable(_no_key(path))
    return key


def _check(path: Path, status: os.stat_result, *, strict: bool) -> None:
    wanted = 0o400 if strict else 0o600
    if not stat.S_ISREG(status.st_mode):
        raise KeysUnusable(f"{path} is no file: keep nothing but keys in the folder of keys.")
    if status.st_mode & 0o777 & ~wanted:
        raise KeysUnusable(
            f"The key {path} has the permissions {status.st_mode & 0o777:04o}: run chmod {wanted:04o} {path}."
        )
    if status.st_uid not in {0, os.geteuid()}:
        raise KeysUnusable(f"The key {path} belongs to another user: give it to the user of the vault.")


def _no_key(path: Path) -> str:
    return f"{path} holds no key (64 hexadecimal digits): make one with `openssl rand -hex 32`."
