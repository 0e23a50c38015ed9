"""The vault's Unix socket: one JSON line a question, one an answer; for its own user's processes alone."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from trade_platform.adapters.database.connection import SchemaBehind
from trade_platform.adapters.database.roles import CannotStepDown
from trade_platform.adapters.process import CannotStart
from trade_platform.adapters.vault_client import (
    LONGEST_LINE,
    Accounts,
    Question,
    Refusal,
    Signature,
    Told,
    short,
)
from trade_platform.vault.keeper import Keeper, Refused, Unavailable

IDLE_SECONDS: Final = 30.0
LONGEST_TEXT: Final = 64 * 1024
_CREDENTIALS: Final = struct.Struct("3i")
"""pid, uid and gid, as the kernel tells them of who connected."""

_T = TypeVar("_T")

log = structlog.get_logger()


class Meters:
    """What is counted; never by account: who trades where is not for the metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.questions = Counter(
            "vault_questions",
            "Questions by what was asked and how it ended.",
            ["do", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "vault_answer_seconds", "From question to answer.", ["do"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5), registry=registry,
        )  # fmt: skip


class VaultServer:
    """Listens while it is entered."""

    def __init__(self, keeper: Keeper, path: Path, meters: Meters) -> None:
        self._keeper = keeper
        self._path = path
        self._meters = meters
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="vault")  # one connection, one thread
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def __aenter__(self) -> Self:
        """Raises CannotStart."""
        listening = _listen(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LONGEST_LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        with suppress(OSError):  # a successor's socket is not ours to remove
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        await self._work(self._keeper.close)
        self._worker.shutdown(wait=False)

    async def look(self) -> str:
        """Why no signature could be given now; empty when it could."""
        try:
            await self._work(self._keeper.look)
        except (Unavailable, CannotStepDown, SchemaBehind) as error:
            return str(error)
        return ""

    async def _work(self, what: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, what)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            actor = _actor(writer)
            while self._server is not None and self._server.is_serving():
                async with asyncio.timeout(IDLE_SECONDS):
                    line = await reader.readline()
                if not line:
                    return
                writer.write(msgspec.json.encode(await self._answer(line, actor)) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # who asked went away, says nothing, or talks too much at once
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes, actor: str) -> Told | Accounts | Signature | Refusal:
        started = asyncio.get_running_loop().time()
        do, outcome = "unreadable", "refused"
        try:
            question = msgspec.json.decode(line, type=Question)
            do = question.do if question.do in _VERBS else "unknown"
            answer = await self._work(lambda: _perform(self._keeper, question, actor))
            outcome = "done"
            return answer
        except msgspec.DecodeError:
            return Refusal(error="That is no question of the vault's protocol.")
        except Refused as refusal:
            log.warning("The vault refused.", do=do, reason=str(refusal), actor=actor)
            return Refusal(error=str(refusal))
        except (Unavailable, CannotStepDown, SchemaBehind) as error:
            outcome = "unavailable"
            return Refusal(error=str(error), later=True)
        except Exception:  # one question's fault must not end the vault for all others
            outcome = "failed"
            log.exception("The vault failed at a question.", do=do)
            return Refusal(error="The vault failed at this question: its log says why.", later=True)
        finally:
            self._meters.questions.labels(do, outcome).inc()
            self._meters.seconds.labels(do).observe(asyncio.get_running_loop().time() - started)


_VERBS: Final = ("describe", "sign", "accounts")


def _perform(keeper: Keeper, question: Question, actor: str) -> Told | Accounts | Signature:
    if not actor:
        raise Refused("The vault answers the processes of its own user alone.")
    match question.do:
        case "describe":
            return keeper.describe(question.account)
        case "accounts":
            return Accounts(accounts=keeper.accounts())
        case "sign":
            if len(question.text) > LONGEST_TEXT:
                raise Refused(
                    f"A text of {len(question.text):,} letters is nothing that an exchange has signed."
                )
            if not question.purpose:
                raise Refused("Say for what the signature is: the audit trail wants a purpose.")
            return Signature(signature=keeper.sign(question.account, question.purpose, question.text, actor))
        case _:
            raise Refused(f"The vault can {', '.join(_VERBS)}, and not {question.do!r}.")


def _actor(writer: asyncio.StreamWriter) -> str:
    """Who connected, for the audit trail; empty where it is a stranger's process."""
    connected: socket.socket = writer.get_extra_info("socket")
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(told)
    if uid not in {0, os.geteuid()}:
        return ""
    return f"user {uid}, process {pid}: {_command(pid)}"


def _command(pid: int) -> str:
    try:
        parts = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "unknown"
    return " ".join([Path(parts[0]).name, *parts[1:]]).strip()


def _listen(path: Path) -> socket.socket:
    """A socket that is its owner's alone, also in the moment in which it is made. Raises CannotStart."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with short(path) as name:
            _check_alone(name, path)
            path.unlink(missing_ok=True)
            listening.bind(name)
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"The vault cannot listen at {path} ({error.strerror}): check the permissions of DATA_FOLDER."
        ) from error
    except CannotStart:
        listening.close()
        raise
    finally:
        os.umask(mask)
    listening.setblocking(False)
    return listening


def _check_alone(name: str, path: Path) -> None:
    """Raises CannotStart where another vault listens; what a killed one left behind does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial, suppress(OSError):
        trial.connect(name)
        raise CannotStart(f"A vault listens at {path} already: stop that one first.")
