"""Published limits: Binance's weight per minute and Deribit's credits. Seconds are real ones."""

from __future__ import annotations

import math
from typing import NamedTuple


class Bucket:
    """Credits that refill steadily."""

    def __init__(self, pool: float, refill: float) -> None:
        self.pool = pool
        self.refill = refill
        self._left = pool
        self._at: float | None = None

    def take(self, cost: float, now: float) -> bool:
        """Spend, if there is enough."""
        if self._at is not None:
            self._left = min(self.pool, self._left + (now - self._at) * self.refill)
        self._at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True


class Verdict(NamedTuple):
    """How a request stands with the weight limit."""

    status: int
    """200, 429 or 418."""
    used: int
    retry_after: int


class WeightWindow:
    """Weight used in this minute; beyond the limit 429, and a ban for those who do not listen."""

    def __init__(self, limit: int, patience: int = 50, ban_seconds: float = 120.0) -> None:
        self.limit = limit
        self.patience = patience
        self.ban_seconds = ban_seconds
        self._minute = -1
        self._used = self._ignored = 0
        self._banned_until = -math.inf

    def spend(self, weight: int, now: float) -> Verdict:
        """Count a request."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._used, self._ignored = minute, 0, 0
        if now < self._banned_until:
            return Verdict(418, self._used, math.ceil(self._banned_until - now))
        self._used += weight
        if self._used <= self.limit:
            return Verdict(200, self._used, 0)
        self._ignored += 1
        if self._ignored > self.patience:
            self._banned_until = now + self.ban_seconds
            return Verdict(418, self._used, math.ceil(self.ban_seconds))
        return Verdict(429, self._used, math.ceil((minute + 1) * 60 - now))
