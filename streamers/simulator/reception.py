"""Between what a connection says and what the server half makes of it: unheard, refused, half understood."""

from __future__ import annotations

from collections import Counter
from typing import Any
from weakref import WeakSet

import msgspec

from streamers.simulator.binance import BinanceConversation
from streamers.simulator.channels import aim_of
from streamers.simulator.deribit import DeribitConversation
from streamers.simulator.deribit_rest import envelope, refusal
from streamers.simulator.faults import Fault
from streamers.simulator.hub import Close, Conversation, Instruction, Say
from streamers.simulator.troubles import Troubles


class Reception:
    """Every message of a client and every moment of a connection goes through here."""

    def __init__(self, exchange: str, troubles: Troubles) -> None:
        self.exchange = exchange
        self.troubles = troubles
        self.leaving: WeakSet[Conversation] = WeakSet()
        """Connections that are being closed: nothing they say counts any more."""
        self.exceeded: Counter[str] = Counter()
        """Limits that clients broke."""

    def opened(self, conversation: Conversation, now: float) -> list[Instruction]:
        """The connection begins, with the streams its URL names."""
        instructions = conversation.opened(now)
        self._misroute(conversation, {}, now)
        return self._noted(instructions)

    def hear(self, conversation: Conversation, text: str, now: float) -> list[Instruction]:
        """A client says something."""
        if conversation in self.leaving:
            return []
        if self.troubles.latest("deaf", now):
            self.troubles.count("deaf")
            if '"public/test"' in text:  # else the server would hang up, and the deafness would heal itself
                conversation.receive(text, now)
            return []
        refused = self._refused(text, now)
        if refused:
            return refused
        before = dict(conversation.streams)
        instructions = conversation.receive(text, now)
        self._misroute(conversation, before, now)
        if conversation.streams.keys() - before.keys():
            instructions = self._shortened(conversation, before, instructions)
        return self._noted(instructions)

    def due(self, conversation: Conversation, now: float) -> list[Instruction]:
        """What the server says by itself."""
        if self.troubles.calm:
            return conversation.due(now)
        silences = [fault for fault in self.troubles.lasting("silence", now) if not fault.pings]
        for fault in silences or self.troubles.lasting("heartbeat_stop", now):
            self.troubles.count(fault.fault, conversation.postpone(now))
            return []
        return conversation.due(now)

    def _refused(self, text: str, now: float) -> list[Instruction]:
        """What a fault answers in place of the server half."""
        for name, code, message in (
            ("too_many_requests", 10028, "too_many_requests"),
            ("maintenance", 11051, "system_maintenance"),
        ):
            fault = self.troubles.latest(name, now)
            if fault and (fault.accepting or name == "too_many_requests"):
                self.troubles.count(name)
                answer = self._error(text, code, message)
                return [answer, Close(1008, message)] if name == "too_many_requests" else [answer]
        return []

    def _error(self, text: str, code: int, message: str) -> Say:
        number = _number(text)
        if self.exchange == "deribit":
            return Say(envelope(number, refusal(code, message), 0))
        said = {"error": {"code": -1016, "msg": "This service is no longer available."}, "id": number}
        return Say(msgspec.json.encode(said).decode())

    def _misroute(self, conversation: Conversation, before: dict[str, bool], now: float) -> None:
        """Subscriptions made on the wrong route are acknowledged and stay silent."""
        fault = self.troubles.latest("wrong_route", now)
        if fault is None or not isinstance(conversation, BinanceConversation):
            return
        if conversation.path.route != fault.route:
            return
        for stream in conversation.streams.keys() - before.keys():
            conversation.streams[stream] = False
            self.troubles.count("wrong_route")

    def _shortened(
        self, conversation: Conversation, before: dict[str, bool], instructions: list[Instruction]
    ) -> list[Instruction]:
        """Leave every second new channel (or those aimed at) out of the answer and of the subscription."""
        owed = self.troubles.owed("short_ack")
        if not owed or not isinstance(conversation, DeribitConversation):
            return instructions
        left_out = self._left_out(owed[0], [one for one in conversation.streams if one not in before])
        if not left_out:
            return instructions
        self.troubles.use(owed[0])
        for stream in left_out:
            del conversation.streams[stream]
        named = {stream.partition("@")[0] for stream in left_out}  # behind it stands whose it is
        return [_without(one, named) for one in instructions]

    def _left_out(self, fault: Fault, new: list[str]) -> set[str]:
        if not fault.symbol and not fault.channel:
            return set(new[::2])
        aims = {stream: aim_of(self.exchange, stream) for stream in new}
        return {
            stream
            for stream, (symbol, channel) in aims.items()
            if fault.symbol in ("", symbol) and fault.channel in ("", channel)
        }

    def _noted(self, instructions: list[Instruction]) -> list[Instruction]:
        for one in instructions:
            if isinstance(one, Close):
                self.exceeded[one.reason] += 1
        return instructions


def _number(text: str) -> Any:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return request.get("id") if isinstance(request, dict) else None


def _without(one: Instruction, left_out: set[str]) -> Instruction:
    if not isinstance(one, Say):
        return one
    answer = msgspec.json.decode(one.text)
    if isinstance(answer.get("result"), list):
        answer["result"] = [stream for stream in answer["result"] if stream not in left_out]
    return Say(msgspec.json.encode(answer).decode())
