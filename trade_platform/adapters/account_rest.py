"""Performs an account's questions by REST: signed by the vault, page by page.

What is told without a time of its own is stamped with the moment of asking, not of the answer: whatever
happened since is newer, and must win over it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Final

from trade_platform.adapters.clock import Clock
from trade_platform.adapters.rest import RestClient
from trade_platform.adapters.vault_client import VaultClient
from trade_platform.domain.accounts import AccountRecord
from trade_platform.exchanges.account import (
    AccountExchange,
    Ask,
    KeyFacts,
    Page,
    PrivateRequest,
    Signed,
)
from trade_platform.exchanges.session import ProtocolViolation, RestError

MOST_PAGES: Final = 10_000
"""Of one answer: an exchange that always knows a further page would never let us go."""


class AccountRest:
    """One account's questions; cheap beside the client that it shares with others of its exchange."""

    def __init__(
        self, exchange: AccountExchange, rest: RestClient, vault: VaultClient, account: str, clock: Clock
    ) -> None:
        self.exchange = exchange
        self.account = account
        self._rest = rest
        self._vault = vault
        self._clock = clock
        self._key: KeyFacts | None = None

    async def fetch(self, request: PrivateRequest) -> bytes:
        """The body of a good answer. Raises RestError, RestUnavailable, VaultUnavailable, VaultRefused."""

        async def signed() -> PrivateRequest:
            return await self._signed(request)

        try:
            return await self._rest.fetch(request, signed)
        except RestError:
            self._key = None  # it may have been rotated
            raise

    async def pages(self, ask: Ask) -> AsyncIterator[Page]:
        """One answer after the other; raises what ``fetch`` does, and ProtocolViolation."""
        further = ask
        for _ in range(MOST_PAGES):
            asked = self._clock.market()
            try:
                body = await self.fetch(further.request)
            except RestError as error:
                if error.code not in further.absent:
                    raise
                yield Page()
                return
            page = further.read(body, asked)
            yield page
            if page.further is None:
                return
            further = page.further
        raise ProtocolViolation(f"{ask.what}: more than {MOST_PAGES} pages")

    async def all(self, ask: Ask) -> list[AccountRecord]:
        """All of it, or an exception: a part is never taken for the whole."""
        return [record async for page in self.pages(ask) for record in page.records]

    async def _signed(self, request: PrivateRequest) -> PrivateRequest:
        if self._key is None:
            self._key = (await self._vault.describe(self.account)).key
        key, at, nonce = self._key, self._clock.market(), secrets.token_hex(8)
        signature = ""
        if request.signed:
            text = self.exchange.to_sign(request, key, at, nonce)
            purpose = f"{request.method} {request.path}"
            signature = await self._vault.sign(self.account, purpose, text)
        signed = Signed(key=key, signature=signature, at=at, nonce=nonce)
        return self.exchange.with_signature(request, signed)
