"""Performs REST requests: timeouts, the exchange's own errors, and its published weight budget."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import aiohttp

from trade_platform.exchanges.session import Request, RestError

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=5, sock_read=10)
MAXIMUM_BYTES: Final = 64 * 1024 * 1024
"""Longest answer that is read; Binance's list of instruments is some 20 MB."""
SHARE: Final = 0.8
"""Part of the published budget that one process takes; the rest is for people and other programs."""
PATIENCE_SECONDS: Final = 30.0
"""How long a request waits where the exchange asked for quiet."""
REFUSED_SECONDS: Final = {418: 120.0, 429: 10.0}
"""How long to keep quiet where the exchange forgets to say it (Retry-After)."""


class RestUnavailable(Exception):
    """The exchange gave no answer; the sentence says what was tried and what happened."""


class RestQuiet(RestUnavailable):
    """The exchange asked for quiet, and for longer than a request can wait."""


class WeightBudget:
    """A bucket of request weight that refills continuously; requests wait for their share in order."""

    def __init__(self, weight_per_minute: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._capacity = weight_per_minute * SHARE
        self._left = self._capacity
        self._at = monotonic()
        self._quiet_until = 0.0

    def wait_seconds(self, weight: int) -> float:
        """Take the weight and say how long to wait before it may be spent."""
        now = self._monotonic()
        rate = self._capacity / 60
        self._left = min(self._capacity, self._left + (now - self._at) * rate) - weight
        self._at = now
        return max(0.0, -self._left / rate, self._quiet_until - now)

    @property
    def quiet_seconds(self) -> float:
        """How much longer the exchange wants to hear nothing."""
        return max(0.0, self._quiet_until - self._monotonic())

    def be_quiet(self, seconds: float) -> None:
        """The exchange asked us to stop for so long."""
        self._quiet_until = max(self._quiet_until, self._monotonic() + seconds)


class RestClient:
    """One exchange's REST side, for one process; a context that holds the connections."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        error_of: Callable[[int, bytes], RestError | None],
        weight_per_minute: int,
        ssl_context: ssl.SSLContext | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.budget = WeightBudget(weight_per_minute)
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

    async def fetch(self, request: Request) -> bytes:
        """The body of a good answer; raises RestError where the exchange refuses, RestUnavailable else."""
        if (quiet := self.budget.quiet_seconds) > PATIENCE_SECONDS:
            until = datetime.fromtimestamp(time.time() + quiet, UTC)
            raise RestQuiet(f"{self._name} asked for quiet until {until:%Y-%m-%d %H:%M:%S} UTC.")
        if (wait := self.budget.wait_seconds(request.weight)) > 0:
            await asyncio.sleep(wait)
        self.requests += 1
        try:
            status, body, retry_after = await self._perform(request)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self.failures += 1
            raise RestUnavailable(
                f"{self._name}: {request.path} at {self.base_url} gave no answer ({_in_words(error)})."
            ) from error
        if status in REFUSED_SECONDS:
            self.budget.be_quiet(retry_after or REFUSED_SECONDS[status])
        refusal = self._error_of(status, body)
        if refusal is None and status >= 400:
            refusal = RestError(status, f"HTTP status {status}", retry=status in (408, 429) or status >= 500)
        if refusal is not None:
            self.failures += 1
            raise refusal
        return body

    async def _perform(self, request: Request) -> tuple[int, bytes, float]:
        assert self._http is not None, "the client is used inside its context"
        query = {name: str(value) for name, value in request.query.items()}
        async with self._http.request(
            request.method, self.base_url + request.path, params=query, allow_redirects=False
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
        return min(max(float(text), 0.0), 3 * 24 * 3600.0)
    except ValueError:
        return 0.0


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number else str(error.os_error)
    return str(error) or type(error).__name__
