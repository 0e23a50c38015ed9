"""How a Redis stream stands: what a streamer brought last, and how long the oldest unstored entry waits."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from redis import Redis

from trade_platform.adapters.bus import REPAIR
from trade_platform.adapters.redis_reader import StreamReader, milliseconds_of

PAGE: Final = 32
PAGES: Final = 4
"""Repairs write to the same stream: so far back an entry of a streamer is looked for."""
LISTED: Final = b"instrument"
"""Kind of entries that come by REST: they say nothing about a connection."""


class StreamHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds are real ones, by Redis' own clock."""

    stream: str
    length: int
    lag_seconds: float
    """Since when the oldest entry waits that is not stored; 0 where none does."""
    age_seconds: float | None
    """Since a streamer's newest entry; None where none is found."""
    arrivals: tuple[float, ...] = ()
    """When the last ones came, seconds; the newest first."""

    @property
    def batches_a_second(self) -> float:
        """Of what came last."""
        if len(self.arrivals) < 2 or self.arrivals[0] <= self.arrivals[-1]:
            return 0.0
        return (len(self.arrivals) - 1) / (self.arrivals[0] - self.arrivals[-1])


def stream_health(bus: Redis, stream: str, stored: str) -> StreamHealth | None:
    """``stored``: up to which entry everything is in the tables. None where there is no such stream.

    Raises RedisError.
    """
    end = StreamReader(bus, stream, stored).end()
    if not end.added:
        return None
    now = _now(bus)
    arrivals = _arrivals(bus, stream)
    waiting: Any = bus.xrange(stream, f"({stored}", "+", count=1)
    lag = now - milliseconds_of(waiting[0][0].decode()) / 1000 if waiting else 0.0
    return StreamHealth(
        stream=stream,
        length=end.length,
        lag_seconds=max(lag, 0.0),
        age_seconds=max(now - arrivals[0], 0.0) if arrivals else None,
        arrivals=arrivals,
    )


def _arrivals(bus: Redis, stream: str) -> tuple[float, ...]:
    """Of the last entries of streamers, newest first."""
    found: list[float] = []
    last = "+"
    for _ in range(PAGES):
        page: Any = bus.xrevrange(stream, last, "-", count=PAGE)
        found += [milliseconds_of(name.decode()) / 1000 for name, fields in page if _is_live(fields)]
        if found or len(page) < PAGE:
            break
        last = f"({page[-1][0].decode()}"
    return tuple(found)


def _is_live(fields: dict[bytes, bytes]) -> bool:
    producer = fields.get(b"producer", b"").decode(errors="replace")
    return not producer.startswith(REPAIR) and fields.get(b"kind") != LISTED


def _now(bus: Redis) -> float:
    seconds, microseconds = bus.time()
    return int(seconds) + int(microseconds) / 1e6
