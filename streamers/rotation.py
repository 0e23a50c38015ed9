"""When a connection is to be replaced: at its age, because its server goes, and again where that failed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from streamers.backoff import Backoff


class Rotation:
    """Of one feed; time is passed in."""

    def __init__(
        self,
        maximum_age_seconds: float | None,
        spread: Callable[[], float] = lambda: random.uniform(0.9, 1.0),  # noqa: S311
    ) -> None:
        """``spread``: a little early, and not all at the same time."""
        self._age = math.inf if maximum_age_seconds is None else maximum_age_seconds
        self._spread = spread
        self._at = math.inf
        self._wished = False
        self._failures = Backoff()

    def begin(self, now: float) -> None:
        """A connection was opened that is to live. What was wished for since ``obey`` still holds."""
        self._at = now + self._age * self._spread()
        self._failures = Backoff()

    def wish(self) -> None:
        """Without delay."""
        self._wished = True

    def obey(self) -> None:
        """A connection is opened: whatever was wished for until now is done with it."""
        self._wished = False

    def due(self, now: float) -> bool:
        return self._wished or now >= self._at

    def seconds(self, now: float) -> float:
        """Until it is due."""
        return 0.0 if self._wished else max(0.0, self._at - now)

    def failed(self, now: float) -> None:
        """No successor could be had: again soon, and then less soon."""
        self._at = now + self._failures.delay_after(delivered=False, lived_seconds=0.0)
