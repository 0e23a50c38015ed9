"""Recorded sessions played to ours at their own times, with a REST interface that knows what they show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from trade_platform.exchanges.session import Reconnect, Request, Rest, Session

TICK = 0.25
Frame = tuple[float, int, str, str]
"""(seconds since the first, receive time in µs, channel, text)"""


class Shown(msgspec.Struct):
    """What one kind of look would have shown, over time."""

    times: list[float] = []
    bodies: list[bytes] = []

    def at(self, now: float) -> bytes | None:
        place = bisect_right(self.times, now)
        return self.bodies[place - 1] if place else None


class Replay:
    """Gives a session what was recorded, but what is cut; its looks are answered from the whole recording."""

    def __init__(
        self,
        session: Session,
        frames: Sequence[Frame],
        answer: Callable[[Request, float], bytes],
        *,
        cut: frozenset[str] | None = None,
        cut_at: float = float("inf"),
        answer_seconds: float = 1.0,
        since: float = 0.0,
        say: Callable[[Session, Sequence[Any]], Any],
    ) -> None:
        self.session = session
        self.now = since
        self.looks: list[tuple[float, Request]] = []
        self._frames = frames
        self._answer = answer
        self._cut = cut
        self._cut_at = cut_at
        self._answer_seconds = answer_seconds
        self._place = bisect_right(frames, since, key=itemgetter(0))
        self._say = say
        """Answers what the session sends, as the exchange does."""
        self._answers: list[tuple[float, Rest]] = []

    def run(self, until: float) -> Reconnect | None:
        """Ticks to the first Reconnect."""
        while self.now < until:
            self.now += TICK
            self._receive()
            outputs: list[Any] = []
            for due in [one for one in self._answers if one[0] <= self.now]:
                self._answers.remove(due)
                outputs += due[1].parse(self._answer(due[1].request, self.now))
            outputs += self.session.due(self.now)
            self._say(self.session, outputs)
            for output in outputs:
                if isinstance(output, Reconnect):
                    return output
                if isinstance(output, Rest):
                    self.looks.append((self.now, output.request))
                    self._answers.append((self.now + self._answer_seconds, output))
        return None

    def _receive(self) -> None:
        while self._place < len(self._frames) and self._frames[self._place][0] <= self.now:
            at, receive_time, channel, text = self._frames[self._place]
            self._place += 1
            if at >= self._cut_at and (self._cut is None or channel in self._cut):
                continue
            self.session.receive(text, receive_time)
