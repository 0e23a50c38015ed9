"""One private connection from its opening to its end: performs what its session says."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec
import structlog
from websockets.exceptions import InvalidHandshake, InvalidURI

from streamers.account.publisher import AccountPublisher
from streamers.ending import Ending, refusal
from streamers.outbox import Outbox
from streamers.socket import Socket, open_socket
from trade_platform.adapters.account_rest import AccountRest
from trade_platform.adapters.budget import Budget
from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestUnavailable
from trade_platform.adapters.vault_client import VaultClient, VaultRefused, VaultUnavailable
from trade_platform.domain.accounts import AccountNote, AccountRecord, NoteKind
from trade_platform.exchanges.account import (
    AccountExchange,
    AccountOutput,
    AccountSession,
    Fetch,
    KeyFacts,
    Obtain,
    Ready,
    Sign,
    Signed,
)
from trade_platform.exchanges.session import ProtocolViolation, Reason, Reconnect, RestError, Send

TICK_SECONDS: Final = 0.25
MOST_ERRANDS: Final = 100
MOST_UNREADABLE: Final = 20
"""Of one connection: what then still comes may be anything."""
FAILURES: Final = (RestError, RestUnavailable, VaultUnavailable, VaultRefused, ProtocolViolation)
"""What an errand may end with: told to the session in a sentence."""

log = structlog.get_logger()


class Around(msgspec.Struct, frozen=True):
    """What all conversations of an account share."""

    exchange: AccountExchange
    account: str
    key: KeyFacts
    """As it was when the process began."""
    publisher: AccountPublisher
    rest: AccountRest
    vault: VaultClient
    budget: Budget
    clock: Clock
    websocket_url: str
    tls: ssl.SSLContext | None = None


class Conversation:
    """One session and its socket."""

    def __init__(self, around: Around, key: KeyFacts, on_change: Callable[[Conversation, str], None]) -> None:
        """``on_change`` hears "ready", "heard", "ended" (the stream), "rotate" and "unreadable"."""
        self.session: AccountSession = around.exchange.session(key)
        self.messages = 0
        self.unreadable = 0
        self.ready_since = 0
        """Market time; 0 before."""
        self.ready = asyncio.Event()
        self.heard_at = 0
        self._around = around
        self._key = key
        self._on_change = on_change
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._outbox = Outbox(around.budget)
        self._errands: set[asyncio.Task[None]] = set()
        self._socket: Socket | None = None

    @property
    def surely_heard_at(self) -> int:
        """Market time until when nothing private can have passed unheard.

        Where heartbeats come without a login, a session knows better than its frames (``proven``).
        """
        return getattr(self.session, "proven", 0) or self.heard_at

    async def run(self) -> Ending:
        """Prepare, open, carry on until the end, close. Never raises on what others do."""
        try:
            await self._prepare()
            if self._ending.done():
                return msgspec.structs.replace(self._ending.result(), accepted=False)
            return await self._connected()
        finally:
            for errand in self._errands:
                errand.cancel()
            await asyncio.gather(*self._errands, return_exceptions=True)

    def end(self, reason: Reason, detail: str = "", after_seconds: float = 0.0) -> None:
        """It is over; the first to say so gives the reason."""
        if not self._ending.done():
            self._ending.set_result(Ending(reason, detail, after_seconds))

    async def _prepare(self) -> None:
        """What must be had before the socket, and all that comes of it."""
        clock = self._around.clock
        self._perform(self.session.before(clock.monotonic(), clock.market()))
        while self._errands and not self._ending.done():
            await _first_of(self._ending, *self._errands)

    async def _connected(self) -> Ending:
        around = self._around
        url = around.websocket_url + around.exchange.path(self.session.listen_key)
        try:
            self._socket = socket = await open_socket(url, tls=around.tls)
        except InvalidURI:  # its sentence would repeat the listen key
            return Ending(Reason.UNREACHABLE, "the stream's address is not usable", accepted=False)
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            return refusal(error, around.websocket_url)
        began = around.clock.monotonic()
        work: list[Coroutine[Any, Any, None]] = [self._outbox.run(socket), self._tick(), self._watch(socket)]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            self._perform(self.session.opened(began, around.clock.market()))
            socket.start(self._received, self._chunk_ended, around.clock.market)
            await _first_of(self._ending, *tasks)
            for task in tasks:
                if task.done() and not self._ending.done():
                    task.result()  # a fault of ours, or the socket is closed
            ending = await self._ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await socket.close()  # what is in flight is still read until the other side agrees
        lived = around.clock.monotonic() - began
        return msgspec.structs.replace(ending, lived_seconds=lived, delivered=self.ready.is_set())

    # --- what comes ---

    def _received(self, message: bytes) -> None:
        assert self._socket is not None
        self.messages += 1
        self.heard_at = self._socket.receive_time
        try:
            outputs = self.session.receive(message, self.heard_at)
        except ProtocolViolation as error:
            self._note_unreadable(error)
            return
        self._perform(outputs)
        if self.ready.is_set():
            self._on_change(self, "heard")

    def _note_unreadable(self, error: ProtocolViolation) -> None:
        """It may have been a fill: the time around it is read again."""
        self.unreadable += 1
        log.warning(
            "A private message cannot be read; its time is read again by REST.", error=str(error)[:300]
        )
        self._on_change(self, "unreadable")
        if self.unreadable > MOST_UNREADABLE:
            self.end(Reason.PROTOCOL, "too many messages that cannot be read")

    def _chunk_ended(self) -> bool:
        return not self._around.publisher.blocked

    # --- what is to be done ---

    def _perform(self, outputs: Sequence[AccountOutput]) -> None:
        records: list[AccountRecord] = []
        for output in outputs:
            match output:
                case Send():
                    if not self._outbox.put(output):
                        self.end(Reason.TRANSPORT_SILENT, "it does not read what is said to it")
                case Reconnect(reason=Reason.SHUTDOWN):
                    self._on_change(self, "rotate")
                case Reconnect():
                    self.end(output.reason, output.detail, output.after_seconds)
                case Sign():
                    self._begin(self._sign(output), output.failed)
                case Fetch():
                    self._begin(self._fetch(output), output.failed)
                case Obtain():
                    self._begin(self._obtain(output), output.failed)
                case Ready():
                    self.ready_since = output.since
                    self.ready.set()
                    self._on_change(self, "ready")
                case _:
                    records.append(output)
        if records:
            self._around.publisher.publish(records)
            if any(isinstance(one, AccountNote) and one.kind is NoteKind.ENDED for one in records):
                self._on_change(self, "ended")

    def _begin(
        self,
        work: Coroutine[Any, Any, Sequence[AccountOutput]],
        failed: Callable[[str], Sequence[AccountOutput]],
    ) -> None:
        if len(self._errands) >= MOST_ERRANDS:
            work.close()
            self._perform(failed("too many questions wait"))
            return
        errand = asyncio.create_task(self._run_errand(work, failed))
        self._errands.add(errand)
        errand.add_done_callback(self._errand_ended)

    def _errand_ended(self, errand: asyncio.Task[None]) -> None:
        self._errands.discard(errand)
        if not errand.cancelled() and (error := errand.exception()) is not None:
            log.error("A session failed; its connection is opened anew.", exc_info=error)
            self.end(Reason.PROTOCOL, f"our own error: {error!r}")

    async def _run_errand(
        self,
        work: Coroutine[Any, Any, Sequence[AccountOutput]],
        failed: Callable[[str], Sequence[AccountOutput]],
    ) -> None:
        try:
            outputs = await work
        except FAILURES as error:
            outputs = failed(str(error))
        if not self._ending.done():
            self._perform(outputs)

    async def _sign(self, sign: Sign) -> Sequence[AccountOutput]:
        around = self._around
        at, nonce = around.clock.market(), secrets.token_hex(8)
        text = sign.prepare(self._key, at, nonce)
        signature = await around.vault.sign(around.account, sign.purpose, text)
        return sign.then(Signed(key=self._key, signature=signature, at=at, nonce=nonce))

    async def _fetch(self, fetch: Fetch) -> Sequence[AccountOutput]:
        return fetch.then(await self._around.rest.all(fetch.ask))

    async def _obtain(self, obtain: Obtain) -> Sequence[AccountOutput]:
        return obtain.then(await self._around.rest.fetch(obtain.request))

    async def _tick(self) -> None:
        clock, socket = self._around.clock, self._socket
        assert socket is not None
        while True:
            await asyncio.sleep(TICK_SECONDS)
            listening = not self._around.publisher.blocked
            self._around.publisher.retry()
            if not socket.alive(listening=listening):
                self.end(Reason.TRANSPORT_SILENT, "no answer to pings")
                socket.abort()
            if listening:
                self._perform(self.session.due(clock.monotonic(), clock.market()))

    async def _watch(self, socket: Socket) -> None:
        await socket.wait_closed()
        code, why = socket.close_code, socket.close_reason
        self.end(Reason.CLOSED, f"close code {code}{f' ({why})' if why else ''}")


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
