"""Performs REST requests: timeouts, the exchange's own errors, and its published limits."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from trade_platform.adapters.budget import Budget, Quiet
from trade_platform.exchanges.account import PrivateRequest
from trade_platform.exchanges.session import Request, RestError

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=5, sock_read=10)
MAXIMUM_BYTES: Final = 64 * 1024 * 1024
"""Longest answer that is read; Binance's list of instruments is some 20 MB."""
PATIENCE_SECONDS: Final = 30.0
"""How long a request waits where the exchange asked for quiet."""
REFUSED_SECONDS: Final[Mapping[int, float]] = {418: 120.0, 429: 10.0}
"""How long to keep quiet where the exchange forgets to say it (Retry-After)."""
BANNED: Final = 418
"""The whole address is shut out, and every further request lengthens that."""


class RestUnavailable(Exception):
    """The exchange gave no answer; the sentence says what was tried and what happened."""


class RestQuiet(RestUnavailable):
    """The exchange asked for quiet, and for longer than a request can wait."""


class RestClient:
    """One exchange's REST side, for one process; a context that holds the connections."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        error_of: Callable[[int, bytes], RestError | None],
        budget: Budget,
        ssl_context: ssl.SSLContext | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.budget = budget
        self.requests = 0
        self.failures = 0
        self._name = name
        self._error_of = error_of
        self._ssl = ssl_context
        self._timeout = timeout
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=4, ssl=True if self._ssl is None else self._ssl)
        self._http = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        await self._http.close()

    async def fetch(self, request: Request, prepare: Callable[[], Awaitable[Request]] | None = None) -> bytes:
        """The body of a good answer; raises RestError where the exchange refuses, RestUnavailable else.

        ``prepare`` makes what is sent, once there is room for it: a signature that waits grows old.
        """
        try:
            await self.budget.take(request.limit, request.weight, patience_seconds=PATIENCE_SECONDS)
        except Quiet as quiet:
            until = datetime.fromtimestamp(time.time() + quiet.seconds, UTC)
            raise RestQuiet(f"{self._name} asked for quiet until {until:%Y-%m-%d %H:%M:%S} UTC.") from quiet
        if prepare is not None:
            request = await prepare()
        self.requests += 1
        private = isinstance(request, PrivateRequest)
        try:
            status, body, retry_after = await self._perform(request)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self.failures += 1
            why = _in_words(error, private=private)
            unavailable = RestUnavailable(
                f"{self._name}: {request.path} at {self.base_url} gave no answer ({why})."
            )
            if private:  # the library's own error holds the whole request, signature and all
                raise unavailable from None
            raise unavailable from error
        refusal = self._error_of(status, body)
        if refusal is None and status >= 400:
            refusal = RestError(status, f"HTTP status {status}", retry=status in (408, 429) or status >= 500)
        if refusal is not None:
            self.failures += 1
            await self._heed(request, status, retry_after, refusal)
            raise refusal
        return body

    async def _heed(self, request: Request, status: int, retry_after: float, refusal: RestError) -> None:
        """The exchange asked for quiet: for these requests, or for all that this address does.

        Not so what it says of its maintenance (503): that is asked about until it is over.
        """
        if status == BANNED:
            await self.budget.be_quiet(retry_after or REFUSED_SECONDS[status])
        elif status in REFUSED_SECONDS or refusal.quiet_seconds:
            seconds = retry_after or refusal.quiet_seconds or REFUSED_SECONDS[status]
            await self.budget.be_quiet(seconds, request.limit)

    async def _perform(self, request: Request) -> tuple[int, bytes, float]:
        assert self._http is not None, "the client is used inside its context"
        query = {name: str(value) for name, value in request.query.items()}
        url, headers = URL(self.base_url + request.path), None
        if isinstance(request, PrivateRequest):  # as it was signed, letter by letter
            text = urlencode(query, quote_via=quote, safe="")
            url = URL(f"{self.base_url}{request.path}?{text}".rstrip("?"), encoded=True)
            query, headers = {}, dict(request.headers)
        async with self._http.request(
            request.method, url, params=query or None, headers=headers, allow_redirects=False
        ) as answer:
            pieces, length = [], 0
            async for piece in answer.content.iter_any():
                length += len(piece)
                if length > MAXIMUM_BYTES:
                    raise ValueError(f"an answer above {MAXIMUM_BYTES >> 20} MB")
                pieces.append(piece)
            return answer.status, b"".join(pieces), _seconds(answer.headers.get("Retry-After", ""))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(seconds, 3 * 24 * 3600.0) if seconds > 0 else 0.0  # nan is not


def _in_words(error: Exception, *, private: bool = False) -> str:
    """``private``: nothing that could repeat what was asked."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        if number and number > 0:
            return os.strerror(number)
        return error.os_error.strerror or str(error.os_error)  # below 0: the resolver's own numbers
    if private:
        return (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "") or type(
            error
        ).__name__
    return str(error) or type(error).__name__
