"""One server's absence: said once when it begins and once when it ends, with a growing wait between tries."""

from __future__ import annotations

import random
import time
from typing import Final

import structlog

FIRST_SECONDS: Final = 0.1
CAP_SECONDS: Final = 2.0


class Outage:
    """Of PostgreSQL, or of Redis."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._log = structlog.get_logger()
        self._since: float | None = None
        self._failures = 0
        self.reason = ""
        """Why it cannot be used; empty while it can."""

    def begins(self, reason: str) -> float:
        """It failed (again); returns the seconds to wait before the next try."""
        if self._since is None:
            self._since = time.monotonic()
            self._log.warning(
                f"{self._server} cannot be used ({reason}); nothing is lost, trying again until it can."
            )
        self.reason = f"{self._server} cannot be used: {reason}"
        delay = min(FIRST_SECONDS * (1 << self._failures), CAP_SECONDS)
        self._failures = min(self._failures + 1, 10)
        return delay * (0.8 + 0.4 * random.random())  # noqa: S311 - jitter, no secret

    def ends(self) -> None:
        """It did what it was asked."""
        if self._since is not None:
            seconds = round(time.monotonic() - self._since, 1)
            self._log.info(f"{self._server} can be used again.", after_seconds=seconds)
        self._since, self._failures, self.reason = None, 0, ""
