"""At most one quote per symbol and interval: the last of each interval of market time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from trade_platform.domain.model import MICROSECONDS, Record

R = TypeVar("R", bound=Record)


class Latest(Generic[R]):
    """Holds the newest message of one subscription until its interval is over.

    Intervals lie on a grid of market time, so what is kept does not depend on when anybody asks. A
    message becomes records only when it is let go, which spares the many that are superseded.
    """

    def __init__(self, interval: int, build: Callable[[Any, int], Sequence[R]]) -> None:
        self._interval = interval
        self._build = build
        self._slot = -1
        """Number of the interval that the held message, or the last one let go, stands for."""
        self._message: Any = None
        self._receive_time = 0
        self._noticed: float | None = None

    def offer(self, message: object, receive_time: int) -> Sequence[R]:
        """Take a message; what comes out belongs to an interval that it ends."""
        slot = receive_time // self._interval
        held = self._message
        if held is None:
            self._slot = max(slot, self._slot + 1)
            self._noticed = None
        elif slot > self._slot:
            ended = self._build(held, self._receive_time)
            self._slot, self._message, self._receive_time, self._noticed = slot, message, receive_time, None
            return ended
        self._message = message
        self._receive_time = receive_time
        return ()

    def flush(self, market_time: int, now: float) -> Sequence[R]:
        """Let go what is held if its interval is over, by the market's time or, where nothing else

        comes that would tell it, by ours.
        """
        if self._message is None:
            return ()
        if self._noticed is None:
            self._noticed = now
        waited = (now - self._noticed) * MICROSECONDS >= self._interval
        if not waited and market_time // self._interval <= self._slot:
            return ()
        message, self._message = self._message, None
        return self._build(message, self._receive_time)
