"""Which silent channel is asked about next, and how the answer comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trade_platform.exchanges.evidence import GONE, Answer, Case, Look, Witness
from trade_platform.exchanges.pacing import Pace
from trade_platform.exchanges.session import Output, ProtocolViolation, Rest, RestError

IN_FLIGHT: Final = 6
"""Questions at a time, per connection."""
LONGEST_WAIT_EVERY: Final = 4
"""Every so many questions go to the channel that waited longest, so that no thin one waits for ever."""
KEPT_FOR_SECOND: Final = 1 / 3
"""Of the burst: a first look proves nothing unless the second can be paid, too."""


class Inquiry:
    """The questions of one connection: the busiest channel first, inside a share of the REST budget."""

    def __init__(self, witness: Witness, pace: Pace) -> None:
        self._witness = witness
        self._pace = pace
        self._asked = 0

    def ask(self, cases: Sequence[Case], market_time: int, now: float) -> list[Output]:
        """As many questions as are allowed now; about no other channel while a verdict is near."""
        room = IN_FLIGHT - sum(case.suspect.answer is not None for case in cases)
        verdict_near = any(case.suspect.moved_at is not None for case in cases)
        ready = [
            (case, look)
            for case in cases
            if (look := case.watch.look) is not None
            and case.suspect.may_be_asked_about(now)
            and (case.suspect.moved_at is not None or not verdict_near)
        ]
        outputs: list[Output] = []
        while ready and len(outputs) < room and self._pace.allows(min(look.weight for _, look in ready), now):
            case, look = chosen = self._next(ready)
            keep = 0.0 if case.suspect.begun or case.suspect.moved_at is not None else KEPT_FOR_SECOND
            if not self._pace.take(look.weight, now, keep=keep):
                break
            ready.remove(chosen)
            self._asked += 1
            outputs.append(self._question(case, look, market_time, now))
        return outputs

    def _next(self, ready: Sequence[tuple[Case, Look]]) -> tuple[Case, Look]:
        if self._asked % LONGEST_WAIT_EVERY == LONGEST_WAIT_EVERY - 1:
            return min(ready, key=lambda one: one[0].subscription.last_seen or 0.0)
        return min(ready, key=self._rank)

    def _rank(self, one: tuple[Case, Look]) -> tuple[bool, float, int, int, float]:
        case, look = one
        suspect, subscription = case.suspect, case.subscription
        traded = self._witness.traded(subscription)
        return not suspect.begun, subscription.expected_gap, look.weight, -traded, suspect.looked_at

    def _question(self, case: Case, look: Look, market_time: int, now: float) -> Rest:
        answer = case.suspect.answer = Answer(now)
        case.suspect.looked_at = now

        def parse(body: bytes) -> Sequence[Output]:
            try:
                answer.found = look.newest(body)
            except RestError as error:
                return failed(str(error))
            except ProtocolViolation:
                answer.failed = True
            answer.complete = True
            return ()

        def failed(sentence: str) -> Sequence[Output]:
            gone = self._witness.is_gone(sentence)
            answer.found, answer.failed, answer.complete = GONE if gone else None, not gone, True
            return ()

        return Rest(look.request(case.subscription.wanted.symbol, market_time), parse, failed)
