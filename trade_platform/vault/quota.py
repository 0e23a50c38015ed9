"""How often a tenant's secrets may be used: a bucket that refills steadily, one a tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

SECONDS: Final = 60.0


class Bucket(msgspec.Struct):
    left: float
    at: float


class Quota:
    """Signatures a minute, by tenant."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, tenant: str, most: int) -> bool:
        """Take one of ``most`` a minute; False where none is left."""
        now = self._clock()
        bucket = self._buckets.setdefault(tenant, Bucket(most, now))
        bucket.left = min(most, bucket.left + (now - bucket.at) * most / SECONDS)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True
