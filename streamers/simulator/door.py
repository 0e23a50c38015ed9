"""The door: which handshakes are answered how, and who came when. Seconds are real ones."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from streamers.simulator.faults import Fault
from streamers.simulator.hub import Close, Conversation
from streamers.simulator.listing import DERIBIT
from streamers.simulator.troubles import Troubles

KEPT_TIMES = 2_000
ATTEMPTS, ATTEMPTS_SECONDS = 300, 300.0
"""Binance: so many handshakes in so many seconds from one address."""
MOST_OPEN = 32
"""Deribit: so many connections at once from one address."""


class Refusal(NamedTuple):
    """The handshake ends as an HTTP answer."""

    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: str = "Service Unavailable"


class Garbage(NamedTuple):
    """The handshake is answered by bytes that are neither TLS nor HTTP."""

    data: bytes = b"\x15\x03\x01\x00\x02\x02\x28 no handshake here\r\n\r\n" + bytes(range(128, 160))


class Welcome(NamedTuple):
    """The handshake succeeds."""

    conversation: Conversation
    farewell: Close | None = None
    """Said at once."""


class Door:
    """Answers handshakes."""

    def __init__(
        self, exchange: str, troubles: Troubles, converse: Callable[[str], Conversation | None]
    ) -> None:
        self.exchange = exchange
        self.troubles = troubles
        self._converse = converse
        self._attempts: deque[float] = deque()
        self._times: deque[float] = deque(maxlen=KEPT_TIMES)
        self._refused: deque[float] = deque(maxlen=KEPT_TIMES)
        self.tally: Counter[str] = Counter()

    def knock(self, url: str, now: float, open_now: int) -> Refusal | Garbage | Welcome:
        """Answer one handshake, while ``open_now`` others are open."""
        answer = self._trouble(now) or self._limit(now, open_now) or self._admit(url, now)
        if isinstance(answer, Welcome):
            self.tally["accepted"] += 1
            self._times.append(now)
        else:
            self.tally["refused"] += 1
            self._refused.append(now)
        return answer

    def told(self, started_at: float, open_now: int) -> dict[str, Any]:
        """Counts, and the newest moments in seconds since the start."""
        return {
            "open": open_now,
            "accepted": self.tally["accepted"],
            "refused": self.tally["refused"],
            "exceeded": self.tally["exceeded"],
            "times": [round(time - started_at, 3) for time in self._times],
            "refusals": [round(time - started_at, 3) for time in self._refused],
        }

    def _trouble(self, now: float) -> Refusal | Garbage | None:
        """What a fault makes of a handshake."""
        if self.troubles.latest("tls_error", now):
            self.troubles.count("tls_error")
            return Garbage()
        refuse = self.troubles.latest("refuse", now)
        if refuse:
            self.troubles.count("refuse")
            return Refusal(refuse.status or 503, retry_header(refuse))
        maintenance = self.troubles.latest("maintenance", now)
        if maintenance and not maintenance.accepting:
            self.troubles.count("maintenance")
            return Refusal(503)
        return None

    def _limit(self, now: float, open_now: int) -> Refusal | None:
        """The published limits."""
        if self.exchange == DERIBIT:
            if open_now < MOST_OPEN:
                return None
            self.tally["exceeded"] += 1
            return Refusal(429, {}, "Too Many Requests")
        self._attempts.append(now)
        while self._attempts[0] <= now - ATTEMPTS_SECONDS:
            self._attempts.popleft()
        if len(self._attempts) <= ATTEMPTS:
            return None
        self._attempts.pop()
        self.tally["exceeded"] += 1
        wait = max(int(self._attempts[0] + ATTEMPTS_SECONDS - now), 1)
        text = "Too many new connections; current limit is 300 new connections per 5 MINUTE."
        body = f'{{"code":-1034,"msg":"{text}"}}'
        return Refusal(429, {"Retry-After": str(wait)}, body)

    def _admit(self, url: str, now: float) -> Refusal | Welcome:
        conversation = self._converse(url)
        if conversation is None:
            return Refusal(404, {}, "Not Found")
        closing = self.troubles.latest("accept_close", now)
        if closing is None:
            return Welcome(conversation)
        self.troubles.count("accept_close")
        return Welcome(conversation, Close(closing.code or 1000, "fault"))


def retry_header(fault: Fault) -> dict[str, str]:
    """``Retry-After``, where the fault names one."""
    return {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
