"""Under which account a server runs. PostgreSQL refuses root; a data folder belongs to one account for good.

As an ordinary user: that user. As root: the owner of a data folder that exists; for a new one ``nobody``,
and where it cannot reach the checkout (say, below /root), root's own files under another name: a user
namespace in which root is mapped to ``nobody``.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from trade_platform.adapters.embedded.failure import EmbeddedError


class Account(msgspec.Struct, frozen=True):
    """Who the server is: ourselves, another user, or root under another user's name."""

    kind: Literal["same", "drop", "map"]
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        """(uid, gid) that files made under this account have."""
        return (self.uid, self.gid) if self.kind == "drop" else (os.geteuid(), os.getegid())


def own_account() -> Account:
    """Ourselves."""
    return Account("same", os.geteuid(), os.getegid())


def choose(folder: Path, works: Callable[[Account], bool], *, as_root: bool, fresh: bool) -> Account:
    """The account for the server of this folder; ``works`` tries one; raises EmbeddedError.

    ``as_root``: the server may be root. ``fresh``: there are no data yet that belong to somebody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    status = folder.stat()
    own = own_account()
    if own.uid != 0:
        if status.st_uid != own.uid:
            raise EmbeddedError(
                f"{folder} belongs to user {_name(status.st_uid)}, and you are {_name(own.uid)}: run as "
                f"{_name(status.st_uid)} or root, or give it away with: sudo chown -R {own.uid} {folder}"
            )
        return own
    if status.st_uid == 0 and as_root:
        return own
    for account in _candidates(status, fresh=fresh):
        if works(account):
            return account
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and no other account can run it for {folder} here: "
        "set DATABASE_URL to a server of your own, or move the checkout to where every user may read it."
    )


def _candidates(status: os.stat_result, *, fresh: bool) -> list[Account]:
    nobody = _nobody()
    mapped = Account("map", nobody.pw_uid, nobody.pw_gid)
    if status.st_uid != 0:
        return [Account("drop", status.st_uid, status.st_gid)]
    return [Account("drop", nobody.pw_uid, nobody.pw_gid), mapped] if fresh else [mapped]


def _nobody() -> pwd.struct_passwd:
    """An unprivileged user of this system; initdb demands one that has a name."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
