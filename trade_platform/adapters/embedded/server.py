"""A server process of our own: launched under its account, watched until it is ready, stopped by us.

When we are killed, the kernel stops it in our place (``launch.py``). It has a session of its own, so
that Ctrl-C in a terminal reaches us alone and we stop it last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from trade_platform.adapters.embedded.account import Account
from trade_platform.adapters.embedded.failure import EmbeddedError, sentence
from trade_platform.adapters.embedded.folder import LOOK_SECONDS, Holder, write_holder
from trade_platform.adapters.process import birth_of

READY_SECONDS: Final = 300.0
"""A crash recovery may take minutes."""
STOP_SECONDS: Final = 60.0
LARGEST_LOG: Final = 16_000_000
LAUNCH: Final = Path(__file__).with_name("launch.py")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to launch, and how."""

    name: str
    command: Sequence[str]
    folder: Path
    """Data folder; the server's working directory."""
    sockets: Path
    """Where its socket is: the data folder, or one with a shorter name."""
    account: Account
    url: str
    stop_signal: int
    environment: Mapping[str, str] = {}


class Server:
    """A running embedded server; leaving the context stops it."""

    def __init__(self, plan: Plan, process: subprocess.Popen[bytes]) -> None:
        self.name = plan.name
        self.url = plan.url
        self._plan = plan
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End it in good order: what it holds is on disk afterwards. Repeatable."""
        if self.alive:
            self._process.send_signal(self._plan.stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._plan.sockets != self._plan.folder:
            with suppress(OSError):  # not empty after a crash: the next start uses it again
                self._plan.sockets.rmdir()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def run_to_end(
    command: Sequence[str], account: Account, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run a tool of a server under its account, in a folder, and wait for it."""
    return subprocess.run(
        _launch(command, account, folder, signal.SIGKILL),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=dict(environment),
        check=False,
    )


def start(plan: Plan, lock: int, ready: Callable[[], bool]) -> Server:
    """Launch the server, hand it the lock, wait until ``ready``; raises EmbeddedError."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start servers from the main thread: the kernel ends them with their thread")
    log_path = plan.folder / "server.log"
    with _open_log(log_path) as log:
        since = log.tell()
        process = subprocess.Popen(
            _launch(plan.command, plan.account, plan.folder, plan.stop_signal),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(plan.environment),
            pass_fds=(lock,),
            start_new_session=True,
        )
    server = Server(plan, process)
    starter = os.getpid()
    holder = Holder(plan.name, process.pid, birth_of(process.pid), starter, birth_of(starter), plan.url)
    try:
        write_holder(lock, holder)
        _await_ready(server, process, ready)
    except BaseException:  # also Ctrl-C: nothing of ours stays behind
        server.stop()
        raise
    if not server.alive:
        raise EmbeddedError(sentence(plan.name, log_path, since))
    return server


def _await_ready(server: Server, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        try:
            process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            raise EmbeddedError(
                f"{server.name} did not become ready within {READY_SECONDS:.0f} s: see its server.log."
            ) from None
        return


def _launch(command: Sequence[str], account: Account, folder: Path, death_signal: int) -> list[str]:
    order = {
        "account": msgspec.to_builtins(account),
        "parent": os.getpid(),
        "signal": int(death_signal),
        "folder": str(folder),
    }
    return [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(order), *command]


def _open_log(path: Path) -> IO[bytes]:
    """The server's log, begun anew when it has grown large."""
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    # Not through a link: as root we write into a folder that is another user's.
    log = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")
    log.seek(0, os.SEEK_END)
    return log
