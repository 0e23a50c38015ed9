"""A silent channel: a thin market, or a connection that hangs? REST is asked before it is given up.

A channel is proven hung when the market moved and we were not told: a look by REST finds something
newer than the last that came, or than an earlier look found, and even then what is on its way gets some
seconds to arrive. An acknowledgement proves nothing, nor does a look that failed. Without a look ends
only a connection on which all is silent that ticks whatever the market does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import ne
from typing import Final

from trade_platform.exchanges.evidence import GONE, GRACE_SECONDS, Answer, Case, Look, Suspect, Witness
from trade_platform.exchanges.inquiry import Inquiry
from trade_platform.exchanges.liveness import Subscription
from trade_platform.exchanges.pacing import Pace
from trade_platform.exchanges.session import Output, Reason, Reconnect

RELOOK_SECONDS: Final = 4.0
"""From a first look, that only says where the market stands, to the second."""
AGAIN_SECONDS: Final = 5.0
"""After a look that failed."""
LOST_SECONDS: Final = 10.0
"""A look without an answer for so long has failed."""
INATTENTIVE_SECONDS: Final = 2.0
"""After so long without a tick frames may lie unread: it is judged at the next."""
BUSY_GAP_SECONDS: Final = 1.0
MUTE_SECONDS: Final = 20.0
"""A busy connection without one message for so long goes though REST does not answer either."""
WHOLLY_SILENT_SECONDS: Final = 90.0
"""Likewise, any connection."""


class Silence:
    """The open cases of one connection."""

    def __init__(self, witness: Witness, pace: Pace) -> None:
        self._witness = witness
        self._inquiry = Inquiry(witness, pace)
        self._suspects: dict[str, Suspect] = {}
        self._asked_at: float | None = None
        self._deferred = False
        self._heard = -1
        self._heard_at = 0.0

    def forget(self, name: str) -> None:
        """The channel is no longer subscribed."""
        self._suspects.pop(name, None)

    def judge(self, held: Mapping[str, Subscription], market_time: int, now: float) -> list[Output]:
        """What the silence of these channels asks for."""
        slept = self._asked_at is None or now - self._asked_at > INATTENTIVE_SECONDS
        self._asked_at = now
        cases, steady = self._sift(held, now)
        self._deferred = slept and not self._deferred  # not twice in a row: a slow process is no excuse
        if self._deferred:
            return []
        if steady and all(silent for _, silent in steady):
            return [give_up(steady[0][0], now)]
        outputs: list[Output] = []
        for case in cases:
            outputs += self._weigh(case, now)
            if outputs and isinstance(outputs[-1], Reconnect):
                return outputs
        return [*outputs, *self._inquiry.ask(cases, market_time, now)]

    def _sift(
        self, held: Mapping[str, Subscription], now: float
    ) -> tuple[list[Case], list[tuple[Subscription, bool]]]:
        """Note what came: the doubtful silences, and which of those that tick in any market are silent."""
        heard = 0
        cases: list[Case] = []
        steady: list[tuple[Subscription, bool]] = []
        for subscription in held.values():
            doubtful = subscription.doubtful(now)
            watch = self._witness.watch(subscription)
            heard += subscription.messages if watch is not None else 0
            if watch is None or not (subscription.acknowledged or subscription.messages):
                continue
            if watch.steady_seconds is not None:
                steady.append((subscription, subscription.silent_seconds(now) > watch.steady_seconds))
            if doubtful:
                cases.append(Case(subscription, watch, self._suspect(subscription)))
        if heard != self._heard:
            self._heard, self._heard_at = heard, now
        return cases, steady

    def _suspect(self, subscription: Subscription) -> Suspect:
        suspect = self._suspects.get(subscription.name)
        if suspect is None or suspect.messages != subscription.messages:
            baseline = self._witness.held(subscription) if subscription.messages else None
            suspect = self._suspects[subscription.name] = Suspect(subscription.messages, baseline)
        return suspect

    # What is known by now

    def _weigh(self, case: Case, now: float) -> Sequence[Output]:
        subscription, suspect, look = case.subscription, case.suspect, case.watch.look
        if look is None:
            if subscription.messages and subscription.overdue(now):
                return (give_up(subscription, now),)
            if not subscription.messages:
                subscription.excuse(now)
        elif suspect.answer is not None:
            if suspect.answer.complete or now - suspect.answer.asked_at > LOST_SECONDS:
                answer, suspect.answer = suspect.answer, None
                return self._heed(case, look, answer, now)
        elif suspect.moved_at is not None and now - suspect.moved_at >= GRACE_SECONDS:
            # Marks that are only equal or not: REST may have been behind the socket, it is asked once more.
            proven = suspect.looked or look.moved is not ne
            return (give_up(subscription, now),) if proven else ()
        return ()

    def _heed(self, case: Case, look: Look, answer: Answer, now: float) -> Sequence[Output]:
        subscription, suspect = case.subscription, case.suspect
        if answer.failed or not answer.complete:
            return self._failed(subscription, suspect, now)
        suspect.failures = 0
        if answer.found is GONE:
            self._witness.gone(subscription)
        elif answer.found is not None and suspect.baseline is None:
            suspect.baseline, suspect.looked, suspect.begun = answer.found, True, True
            suspect.next_look = answer.asked_at + RELOOK_SECONDS
            return () if subscription.messages else self._witness.stood(subscription, answer.found)
        elif answer.found is not None and look.moved(answer.found, suspect.baseline):
            if suspect.moved_at is not None:
                return (give_up(subscription, now),)
            suspect.moved_at = now
            return ()
        suspect.moved_at, suspect.begun, suspect.next_look = None, False, now + RELOOK_SECONDS
        subscription.excuse(now)
        return ()

    def _failed(self, subscription: Subscription, suspect: Suspect, now: float) -> Sequence[Output]:
        suspect.failures += 1
        suspect.next_look = now + AGAIN_SECONDS
        busy = subscription.messages > 0 and subscription.expected_gap <= BUSY_GAP_SECONDS
        patience = MUTE_SECONDS if busy else WHOLLY_SILENT_SECONDS
        if (busy or suspect.failures >= 3) and now - self._heard_at > patience:
            return (Reconnect(Reason.SESSION_SILENT, "no channel delivers and REST does not answer"),)
        return ()


def give_up(subscription: Subscription, now: float) -> Reconnect:
    """The end of a connection because of one channel."""
    reason = Reason.CHANNEL_SILENT if subscription.messages else Reason.NEVER_DELIVERED
    return Reconnect(reason, f"{subscription.name}: nothing for {subscription.silent_seconds(now):.0f} s")
