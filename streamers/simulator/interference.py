"""Between what the exchange printed and what a connection hears: withheld, damaged, doubled, swapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias
from weakref import WeakSet

from streamers.simulator.channels import aim_of, is_aimed
from streamers.simulator.damage import DAMAGEABLE, cut_off, oversized, unknown, with_null, without_field
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Conversation, Fragments, Frame, Hub, Instruction, Say
from streamers.simulator.troubles import Troubles

LONGEST_HOLD = 1.0
"""Seconds that a frame waits at most for the one that shall overtake it."""
Heard: TypeAlias = tuple[Conversation, str | Instruction]


class Interference:
    """Every frame goes through here."""

    def __init__(self, exchange: str, hub: Hub, troubles: Troubles) -> None:
        self.exchange = exchange
        self.hub = hub
        self.troubles = troubles
        self.muted: WeakSet[Conversation] = WeakSet()
        """Connections that never hear any data."""
        self._held: dict[str, tuple[Frame, float]] = {}
        self._damaged = 0

    def deliver(self, now: float) -> Iterator[Heard]:
        """Hand out what is queued, in order, unless a fault is at work."""
        untouched = self.troubles.calm and not self.muted and not self._held
        for frame, hearers in self.hub.take():
            if untouched:
                yield from self._say(frame, hearers)
            else:
                yield from self._meddle(frame, hearers, now)
        yield from self._release(now)

    def _meddle(self, frame: Frame, hearers: Iterable[Conversation], now: float) -> Iterator[Heard]:
        if self._withheld(frame, now):
            return
        hearers = list(self._listening(hearers))
        for one in self._in_turn(frame, now):
            repeats = self._owed("duplicate", one) if one.prints else None
            yield from self._damage(one, hearers)
            if repeats:
                self.troubles.use(repeats)
                yield from self._say(one, hearers)

    def _withheld(self, frame: Frame, now: float) -> bool:
        for name in ("silence", "deaf"):
            if any(is_aimed(fault, self.exchange, frame) for fault in self.troubles.lasting(name, now)):
                self.troubles.count(name)
                return True
        skip = self._owed("skip", frame) if frame.prints else None
        if skip:
            self.troubles.use(skip)
        return bool(skip)

    def _listening(self, hearers: Iterable[Conversation]) -> Iterator[Conversation]:
        for conversation in hearers:
            if conversation in self.muted:
                self.troubles.count("mute_new")
            else:
                yield conversation

    def _in_turn(self, frame: Frame, now: float) -> list[Frame]:
        """Nothing while a frame is held back, both when the next one of its stream has overtaken it."""
        if frame.stream in self._held:
            return [frame, self._held.pop(frame.stream)[0]]
        reorder = self._owed("reorder", frame) if frame.prints else None
        if reorder is None:
            return [frame]
        self.troubles.use(reorder)
        self._held[frame.stream] = frame, now + LONGEST_HOLD
        return []

    def _release(self, now: float) -> Iterator[Heard]:
        """What was held back and is overtaken by nothing is said late."""
        for stream, (frame, until) in list(self._held.items()):
            if now >= until:
                del self._held[stream]
                yield from self._say(frame, self.hub.hearers(stream))

    def _damage(self, frame: Frame, hearers: list[Conversation]) -> Iterator[Heard]:
        harm = self._harm(frame) if hearers else None
        if harm is None:
            yield from self._say(frame, hearers)
            return
        self.troubles.use(harm)
        self._damaged += 1
        for conversation in hearers:
            yield conversation, Say(self._harmed(harm, frame, conversation))
        if not harm.instead:
            yield from self._say(frame, hearers)

    def _harm(self, frame: Frame) -> Fault | None:
        for name in ("malformed", "unknown_type", "huge"):
            whole = self._owed(name, frame)
            if whole:
                return whole
        fault = self._owed("null_fields", frame) or self._owed("missing_fields", frame)
        if fault and (fault.channel or aim_of(self.exchange, frame.stream)[1] in DAMAGEABLE):
            return fault
        return None

    def _harmed(self, fault: Fault, frame: Frame, conversation: Conversation) -> str:
        if fault.fault == "malformed":
            return cut_off(conversation.wrap(frame))
        if fault.fault == "unknown_type":
            return unknown(self.exchange, conversation, frame, self._damaged)
        if fault.fault == "huge":
            return oversized(self.exchange, conversation)
        change = with_null if fault.fault == "null_fields" else without_field
        return conversation.wrap(Frame(frame.stream, change(frame.data, self._damaged), frame.prints))

    def _say(self, frame: Frame, hearers: Iterable[Conversation]) -> Iterator[Heard]:
        split = None if self.troubles.calm else self._owed("split", frame)
        for conversation in hearers:
            self.hub.delivered += 1
            text = conversation.wrap(frame)
            yield conversation, Fragments(text) if split else text
        if split:
            self.troubles.use(split)

    def _owed(self, name: str, frame: Frame) -> Fault | None:
        for fault in self.troubles.owed(name):
            if is_aimed(fault, self.exchange, frame):
                return fault
        return None
