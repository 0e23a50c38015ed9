"""The vault, asked over its Unix socket: who an account is, and signatures. No secret ever comes this way.

One JSON line a question, one a connection: signatures are rare, and a connection that is not kept cannot
be stale after the vault was restarted.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from trade_platform.exchanges.account import Algorithm, KeyFacts

_Answer = TypeVar("_Answer")

ANSWER_SECONDS: Final = 10.0
LONGEST_LINE: Final = 1 << 20
LONGEST_PATH: Final = 100
"""The kernel takes 107 bytes of a socket's path."""


class VaultUnavailable(Exception):
    """The vault does not answer; the sentence says what to do. It may answer later."""


class VaultRefused(Exception):
    """The vault will not do it: an account unknown or revoked, a quota used up. The sentence says which."""


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who an account is; nothing of it is secret."""

    account: str
    """``{tenant}.{name}``."""
    tenant: str
    """The tenant's id (uuid), for ``roles.tenant``."""
    exchange: str
    key: KeyFacts
    testnet: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked: ``describe``, ``sign`` or ``accounts``."""

    do: str
    account: str = ""
    purpose: str = ""
    """For the audit trail."""
    text: str = ""
    """To be signed."""


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is told of one account."""

    account: str
    tenant: str
    exchange: str
    key_id: str
    algorithm: Algorithm
    testnet: bool = False

    @property
    def facts(self) -> AccountFacts:
        return AccountFacts(
            account=self.account,
            tenant=self.tenant,
            exchange=self.exchange,
            key=KeyFacts(key_id=self.key_id, algorithm=self.algorithm),
            testnet=self.testnet,
        )


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    accounts: list[Told]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    signature: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    error: str = ""
    later: bool = False
    """The vault itself has trouble: the same question may be answered later."""


def socket_of(data_folder: Path) -> Path:
    """Where the vault of this data folder listens."""
    return data_folder / "run" / "vault.sock"


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name of the socket that the kernel takes, however deep its folder lies."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class VaultClient:
    """Asks the vault at this socket; cheap, stateless, for any number of tasks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def describe(self, account: str) -> AccountFacts:
        """Raises VaultUnavailable, VaultRefused."""
        told = await self._ask(Question(do="describe", account=account), Told)
        return told.facts

    async def sign(self, account: str, purpose: str, text: str) -> str:
        """The signature of the text in the account's name. Raises VaultUnavailable, VaultRefused."""
        question = Question(do="sign", account=account, purpose=purpose, text=text)
        return (await self._ask(question, Signature)).signature

    async def accounts(self) -> list[AccountFacts]:
        """All that are active, by name. Raises VaultUnavailable, VaultRefused."""
        told = await self._ask(Question(do="accounts"), Accounts)
        return [one.facts for one in told.accounts]

    async def _ask(self, question: Question, kind: type[_Answer]) -> _Answer:
        line = await self._exchange(msgspec.json.encode(question) + b"\n")
        try:
            refusal = msgspec.json.decode(line, type=Refusal)
            if refusal.error:
                raise (VaultUnavailable if refusal.later else VaultRefused)(refusal.error)
            return msgspec.json.decode(line, type=kind)
        except msgspec.DecodeError as error:
            raise VaultUnavailable(
                f"What listens at {self._path} does not answer as the vault of this version does: restart it."
            ) from error

    async def _exchange(self, line: bytes) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                with short(self._path) as path:
                    reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE)
                try:
                    writer.write(line)
                    await writer.drain()
                    answer = await reader.readline()
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        except TimeoutError as error:
            raise VaultUnavailable(
                f"The vault at {self._path} did not answer within {ANSWER_SECONDS:.0f} s: see its log."
            ) from error
        except (OSError, ValueError) as error:
            raise VaultUnavailable(
                f"The vault at {self._path} does not answer: start it (python -m trade_platform.vault)."
            ) from error
        if not answer.endswith(b"\n"):
            raise VaultUnavailable(f"The vault at {self._path} ended in the middle of its answer: ask again.")
        return answer
