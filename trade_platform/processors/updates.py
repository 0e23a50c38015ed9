"""Quotes that two connections deliver: one row an update, although each has its own time of arrival.

Where the exchange stamps no time, a number's ``event_time`` is when it came, and two overlapping
connections (a rotation, two slots of a lane) would leave two rows of one update. So a number with an
update id that is its own time of arrival is held already if the same update of the same metric was
stored within CLOSE of it. What is remembered here begins when the lane was loaded; what lies before
is asked of the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.numbers import held_updates
from trade_platform.domain.model import MICROSECONDS, Metric, Number
from trade_platform.processors.recent import Recent

CLOSE: Final = 10 * MICROSECONDS
MOST_UPDATES: Final = 400_000
"""Twice ten seconds of several thousand quotes a second; what is forgotten before is asked for again."""

Key: TypeAlias = tuple[int, Metric, int]
"""(instrument_id, metric, update)."""


class Updates:
    """What was stored lately of numbers without a time of their own."""

    def __init__(self) -> None:
        self.bound = MOST_UPDATES
        self._at: Recent[Key, int] = Recent(self.bound)
        self._since: int | None = None
        """From this moment on all is remembered; None: nothing is."""
        self._aged = self._newest = 0

    def __len__(self) -> int:
        return len(self._at)

    def new(
        self, connection: Connection, metrics: Mapping[Metric, int], numbers: Mapping[int, Sequence[Number]]
    ) -> dict[int, Sequence[Number]]:
        """The numbers (by instrument_id) without those whose update is stored; what passes is remembered."""
        unstamped = [
            (instrument_id, number)
            for instrument_id, own in numbers.items()
            for number in own
            if is_unstamped(number)
        ]
        if not unstamped:
            return dict(numbers)
        held = held_updates(connection, metrics, self._to_ask(unstamped), CLOSE)
        kept = {instrument_id: [one for one in own if self._pass(instrument_id, one, held)]
                for instrument_id, own in numbers.items()}  # fmt: skip
        self._age(max(number.event_time for _, number in unstamped))
        return {instrument_id: own for instrument_id, own in kept.items() if own}

    def _to_ask(self, unstamped: Sequence[tuple[int, Number]]) -> list[tuple[int, Number]]:
        """Those that may be in the table without our remembering it."""
        if self._since is None:
            self._since = max(number.event_time for _, number in unstamped)
            return list(unstamped)
        return [(own, number) for own, number in unstamped if number.event_time - CLOSE <= self._since]

    def _pass(self, instrument_id: int, number: Number, held: set[tuple[int, Metric, int, int]]) -> bool:
        if not is_unstamped(number):
            return True
        if (instrument_id, number.metric, number.update, number.event_time) in held:
            return False
        key = instrument_id, number.metric, number.update
        before = self._at.get(key)
        if before is not None and before != number.event_time and abs(before - number.event_time) <= CLOSE:
            return False
        if self._at.put(key, number.event_time):
            self._since = max(self._since or 0, self._newest)
        return True

    def _age(self, newest: int) -> None:
        """Twice the window is more than enough."""
        self._newest = max(self._newest, newest)
        if newest - self._aged > 2 * CLOSE:
            self._since = max(self._since or 0, self._aged)
            self._aged = newest
            self._at.age()


def is_unstamped(number: Number) -> bool:
    """It has an update id, and no time but that of its arrival."""
    return number.update > 0 and number.event_time == number.receive_time
