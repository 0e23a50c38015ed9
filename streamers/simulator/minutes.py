"""The minutes of one instrument: the running one, and those that ended and are not yet said."""

from __future__ import annotations

from collections.abc import Callable

from streamers.simulator.candles import Minute
from streamers.simulator.listing import MINUTE
from streamers.simulator.tape import Row


class Minutes:
    """Rolls from minute to minute; silent ones are fillers at the previous close."""

    def __init__(self, open_time: int, price: int, shown: Callable[[Minute], Row], *, inverse: bool) -> None:
        self.running = Minute(open_time, price)
        self._ended: list[Minute] = []
        self._shown = shown
        self._inverse = inverse
        self.said = 0
        """Trades of the running minute that were already said."""
        self.finished = False

    def roll(self, time: int) -> Minute:
        """The minute that holds ``time``."""
        while not self.finished and time >= self.running.open_time + MINUTE:
            self._ended.append(self.running)
            self.running = Minute(self.running.open_time + MINUTE, self.running.close)
        return self.running

    def count(self, time: int, price: int, quantity: int, *, buy: bool, ids: tuple[int, int]) -> None:
        """Count a fill, or several at one price (ids first and last)."""
        self.roll(time).count(
            price, quantity, buy=buy, first_id=ids[0], last_id=ids[1], inverse=self._inverse
        )

    def take_ended(self) -> list[Row]:
        """Those that ended, once."""
        ended, self._ended = self._ended, []
        return [self._shown(minute) for minute in ended]

    def unsaid(self) -> list[Row]:
        """Those that ended and wait, and the running one."""
        return [] if self.finished else [self._shown(minute) for minute in (*self._ended, self.running)]

    def shown(self) -> Row:
        """The running one."""
        return self._shown(self.running)

    def closed_before(self, open_time: int, price: int) -> None:
        """The minute at ``open_time`` is known to be closed: what is counted of it or before it is done."""
        self._ended = [minute for minute in self._ended if minute.open_time > open_time]
        if self.running.open_time <= open_time:
            self.running = Minute(open_time + MINUTE, price)

    def finish(self) -> None:
        """There will be no further minute."""
        self._ended.clear()
        self.finished = True

    def begin(self, open_time: int, price: int) -> None:
        """Start anew, after a long absence."""
        self._ended.clear()
        self.running = Minute(open_time, price)
