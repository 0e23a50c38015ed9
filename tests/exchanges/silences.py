"""A market, a socket and a REST interface for tests of silence: every time is given, none is read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import gt
from typing import Any

import msgspec

from trade_platform.domain.model import Channel
from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.evidence import Look, Watch
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.pacing import Pace
from trade_platform.exchanges.session import Output, Reconnect, Request, Rest
from trade_platform.exchanges.silence import Silence

TICK = 0.25


def look(weight: int = 1, moved: Any = gt) -> Look:
    return Look(lambda symbol, _time: Request(path=symbol, weight=weight), int, moved, weight)


class Channels:
    """A witness: each message's mark is how many events its market has had by then."""

    def __init__(self, watches: Mapping[str, Watch]) -> None:
        self.watches = dict(watches)
        self.told: dict[str, int] = {}
        self.ended: list[str] = []
        self.sizes: dict[str, int] = {}

    def watch(self, subscription: Subscription) -> Watch | None:
        return None if subscription.name in self.ended else self.watches[subscription.name]

    def held(self, subscription: Subscription) -> int | None:
        return self.told.get(subscription.name)

    def stood(self, subscription: Subscription, mark: int) -> Sequence[Output]:
        return ()

    def traded(self, subscription: Subscription) -> int:
        return self.sizes.get(subscription.name, 0)

    def is_gone(self, sentence: str) -> bool:
        return sentence == "gone"

    def gone(self, subscription: Subscription) -> None:
        self.ended.append(subscription.name)


class Line(msgspec.Struct, kw_only=True):
    """One channel's market."""

    events: Sequence[float] = ()
    """When something happens, ascending."""
    cut_at: float = float("inf")
    """From then on the channel is silent whatever happens."""
    lag: float = 0.1
    """From the event to its message."""
    watch: Watch = Watch(look())
    deadline: float | None = 30.0
    patience: float | None = None


class Bench:
    """A connection whose channels were requested at 0 and acknowledged at once; asked about every tick."""

    def __init__(
        self,
        lines: Mapping[str, Line],
        *,
        answer_seconds: float = 0.2,
        weight_per_second: float = 5.0,
        burst: float = 60.0,
    ) -> None:
        self.lines = lines
        self.answer_seconds: float | None = answer_seconds
        """None: REST fails."""
        self.witness = Channels({name: line.watch for name, line in lines.items()})
        self.silence = Silence(self.witness, Pace(weight_per_second=weight_per_second, burst=burst))
        self.held = {
            name: Subscription(
                name=name,
                wanted=Wanted(name, Channel.TRADE),
                deadline_seconds=line.deadline,
                patience_seconds=line.patience,
                acknowledged=True,
            )
            for name, line in lines.items()
        }
        self.now = 0.0
        self.asked: list[tuple[float, str, int]] = []
        """(when, which, weight) of each look."""
        self._answers: list[tuple[float, Rest]] = []
        for one in self.held.values():
            one.requested(0.0)

    def run(self, until: float) -> Reconnect | None:
        """Ticks up to a moment; ends at a Reconnect."""
        while self.now < until:
            self.now += TICK
            self._deliver()
            self._answer()
            for output in self.silence.judge(self.held, 0, self.now):
                if isinstance(output, Reconnect):
                    return output
                assert isinstance(output, Rest)
                self.asked.append((self.now, output.request.path, output.request.weight))
                self._answers.append((self.now + (self.answer_seconds or 0.0), output))
        return None

    def weight(self, since: float, until: float) -> int:
        return sum(weight for at, _, weight in self.asked if since <= at < until)

    def _deliver(self) -> None:
        for name, line in self.lines.items():
            last = bisect_right(line.events, min(self.now - line.lag, line.cut_at - 1e-9))
            first = bisect_right(line.events, -1e-9)
            subscription = self.held[name]
            if last > first and last > self.witness.told.get(name, first):
                subscription.messages += last - self.witness.told.get(name, first)
                self.witness.told[name] = last

    def _answer(self) -> None:
        for due in [one for one in self._answers if one[0] <= self.now]:
            self._answers.remove(due)
            rest = due[1]
            if self.answer_seconds is None:
                assert rest.failed is not None
                rest.failed("no")
                continue
            happened = bisect_right(self.lines[rest.request.path].events, self.now)
            rest.parse(str(happened).encode())
