"""How a connection ended, or why it never began."""

from __future__ import annotations

import os

import msgspec
from websockets.exceptions import InvalidStatus

from streamers.socket import REACH_SECONDS
from trade_platform.exchanges.session import Reason

BANNED_STATUS = 418
QUIET_SECONDS = {429: 10.0, BANNED_STATUS: 120.0}
"""What is kept where a refusal says no time (Retry-After)."""
LONGEST_QUIET_SECONDS = 3 * 24 * 3600.0


class Ending(msgspec.Struct, frozen=True):
    """How a connection ended."""

    reason: Reason
    detail: str = ""
    after_seconds: float = 0.0
    """The exchange wants no other one for so long."""
    lived_seconds: float = 0.0
    delivered: bool = False
    accepted: bool = True
    """The handshake was done."""
    waited_seconds: float = 0.0
    """Nobody answered the attempt for so long."""
    banned: bool = False
    """The address is shut out, whatever it asks for."""

    @property
    def sentence(self) -> str:
        """Reason and detail."""
        return f"{self.reason}" + (f" ({self.detail})" if self.detail else "")


def refusal(error: Exception, url: str) -> Ending:
    """Why a connection could not be opened."""
    host = url.split("/", 3)[2]
    if isinstance(error, InvalidStatus):
        return _refused(host, error.response.status_code, error.response.headers.get("Retry-After", ""))
    if isinstance(error, TimeoutError):
        detail = f"{host} did not answer in time"
        return Ending(Reason.UNREACHABLE, detail, accepted=False, waited_seconds=REACH_SECONDS)
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return Ending(Reason.UNREACHABLE, f"{host} cannot be reached: {why}", accepted=False)


def _refused(host: str, status: int, retry_after: str) -> Ending:
    """A 503 is maintenance, which is asked about until it is over, whatever time it names."""
    reason = {503: Reason.MAINTENANCE, **dict.fromkeys(QUIET_SECONDS, Reason.RATE_LIMITED)}.get(
        status, Reason.UNREACHABLE
    )
    after = 0.0
    if status in QUIET_SECONDS:
        said = float(retry_after) if retry_after.isdecimal() else 0.0
        after = min(said, LONGEST_QUIET_SECONDS) or QUIET_SECONDS[status]
    detail = f"{host} answered HTTP {status}"
    return Ending(reason, detail, after, accepted=False, banned=status == BANNED_STATUS)
