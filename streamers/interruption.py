"""The break that a feed is in, and the gaps that it leaves: one for each channel that it carries.

Channels differ in what can be had again: trades by their sequence, candles by their time, the rest from
nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamers.ending import Ending
from trade_platform.domain.model import Channel, Gap, GapReason
from trade_platform.domain.selection import Wanted


class Interruption:
    """Begins with a process, and with every ending; is over with the next data."""

    def __init__(self, name: str, last_flush: int) -> None:
        """``last_flush``: when an earlier process sent its last; 0 where it is none of ours to go on from."""
        self.since = last_flush
        """Market time of the last data before the break; 0 where there was none."""
        self._name = name
        self._why: tuple[GapReason, str] | None = (GapReason.RESTART, "process started")

    @property
    def of_a_restart(self) -> bool:
        """Nothing has been delivered by this process yet."""
        return self._why is not None and self._why[0] is GapReason.RESTART

    def begin(self, ending: Ending, last_data_time: int) -> None:
        """A connection ended; where it brought nothing (``last_data_time`` 0) the break before goes on."""
        if last_data_time:
            self.since = last_data_time
        if self._why is None or last_data_time:
            self._why = (GapReason.DISCONNECT, ending.sentence)

    def relieve(self) -> None:
        """Somebody else delivered all the time."""
        self._why = None

    def over(self, until: int, wanted: Iterable[Wanted]) -> Iterator[Gap]:
        """Data came at a market time: the break is over, and this is what it was."""
        why, self._why = self._why, None
        if why is None or not 0 < self.since < until:
            return
        reason, detail = why
        for channel in channels_of(wanted):
            yield Gap(None, channel, reason, None, None, self.since, until, f"{self._name}: {detail}")


def channels_of(wanted: Iterable[Wanted]) -> list[Channel]:
    """Each once, in a fixed order."""
    return sorted({one.channel for one in wanted})
