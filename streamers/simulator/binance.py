"""The server half of a Binance market-data connection (spot and USD-M): control messages, limits, pings."""

from __future__ import annotations

import json
from collections import deque
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from streamers.simulator.hub import Abort, Close, Frame, Instruction, Ping, Say
from streamers.simulator.listing import BINANCE_SPOT

MAXIMUM_STREAMS = 1024
PUBLIC_KINDS = ("bookTicker", "depth", "rpiDepth", "trade")
"""Kinds of stream that USD-M serves on /public; the rest is on /market."""


class Rules(msgspec.Struct, frozen=True):
    """What differs between the products. Seconds are real ones, scaled by the simulator's option."""

    exchange: str
    messages_per_second: int
    ping_every: float
    pong_within: float
    life: float = 24 * 3600.0

    def scaled(self, scale: float) -> Rules:
        """The same with all times multiplied: to see a day's end in a minute."""
        return Rules(
            self.exchange,
            self.messages_per_second,
            self.ping_every * scale,
            self.pong_within * scale,
            self.life * scale,
        )


SPOT_RULES = Rules(BINANCE_SPOT, 5, 20.0, 60.0)
USDM_RULES = Rules("binance_usdm", 10, 180.0, 600.0)


class Path(msgspec.Struct, frozen=True):
    """What the URL of a handshake says."""

    route: str
    """"" | public | market | private."""
    combined: bool
    streams: tuple[str, ...]


def path_of(url: str, exchange: str) -> Path | None:
    """Read a handshake's path and query; None where no such endpoint exists."""
    parts = urlsplit(url)
    steps = [unquote(step) for step in parts.path.split("/") if step]
    route = ""
    if exchange != BINANCE_SPOT and steps and steps[0] in ("public", "market", "private"):
        route = steps.pop(0)
    if not steps or steps[0] not in ("ws", "stream"):
        return None
    combined = steps[0] == "stream"
    streams = parse_qs(parts.query).get("streams", [""])[0].split("/") if combined else steps[1:]
    return Path(route, combined, tuple(stream for stream in streams if stream))


def delivers(stream: str, route: str, exchange: str) -> bool:
    """Whether this route can ever carry a stream: a wrong one is acknowledged and stays silent."""
    if exchange == BINANCE_SPOT:
        return not stream.endswith("@account")  # those are heard by the WebSocket API alone
    if "@" not in stream and not stream.startswith("!"):
        return False  # a listenKey, say
    kind = stream.rpartition("!")[2] if stream.startswith("!") else stream.partition("@")[2]
    public = kind.startswith(PUBLIC_KINDS)
    return public if route in ("", "public") else route == "market" and not public


class BinanceConversation:
    """One connection."""

    def __init__(self, rules: Rules, path: Path) -> None:
        self.rules = rules
        self.path = path
        self.combined = path.combined
        self.streams: dict[str, bool] = {}
        self._heard: deque[float] = deque()
        self._opened = self._next_ping = 0.0
        self._unanswered: float | None = None

    def opened(self, now: float) -> list[Instruction]:
        self._opened = now
        self._next_ping = now + self.rules.ping_every
        return self._subscribe(self.path.streams)

    def receive(self, text: str, now: float) -> list[Instruction]:
        if refusal := self._count(now):
            return refusal
        try:
            request = json.loads(text)
        except ValueError as error:
            at = f"line {getattr(error, 'lineno', 1)} column {getattr(error, 'colno', 1)}"
            return _error(3, f"Invalid JSON: expected value at {at}")
        if not isinstance(request, dict) or "method" not in request:
            return _error(2, "Invalid request: missing field `method` at line 1 column 1")
        return self._answer(request)

    def ponged(self, payload: bytes, now: float) -> list[Instruction]:
        """A PONG: it counts as a message, and only one that copies the PING's payload keeps us alive."""
        if self._unanswered is not None and payload == _payload(self._unanswered):
            self._unanswered = None
        return self._count(now)

    def pinged(self, now: float) -> list[Instruction]:
        return self._count(now)

    def due(self, now: float) -> list[Instruction]:
        if now - self._opened > self.rules.life:
            return [Close(1001, "connection lifetime exceeded")]
        if self._unanswered is not None and now - self._unanswered > self.rules.pong_within:
            return [Abort()]
        if now < self._next_ping:
            return []
        self._next_ping = now + self.rules.ping_every
        if self._unanswered is None:
            self._unanswered = now
        return [Ping(_payload(self._unanswered))]

    def postpone(self, now: float) -> int:
        if now < self._next_ping:
            return 0
        self._next_ping, self._unanswered = now + self.rules.ping_every, None
        return 1

    def wrap(self, frame: Frame) -> str:
        return f'{{"stream":"{frame.stream}","data":{frame.data}}}' if self.combined else frame.data

    def goodbye(self, now_ms: int) -> list[Instruction]:
        """Spot says so; USD-M does not."""
        if self.rules.exchange != BINANCE_SPOT:
            return []
        return [Say(self.wrap(Frame("!serverShutdown", f'{{"e":"serverShutdown","E":{now_ms}}}')))]

    def _count(self, now: float) -> list[Instruction]:
        """Every incoming message counts; too many in one second end the connection."""
        heard = self._heard
        heard.append(now)
        while heard and heard[0] <= now - 1.0:
            heard.popleft()
        return [Close(1008, "Too many requests")] if len(heard) > self.rules.messages_per_second else []

    def _answer(self, request: dict[str, Any]) -> list[Instruction]:
        method, number, params = request["method"], request.get("id"), request.get("params", [])
        if not self._good_id(number):
            return _error(2, "Invalid request: request ID must be an unsigned integer")
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            if not isinstance(params, list) or not all(isinstance(stream, str) for stream in params):
                return _error(2, "Invalid request: stream names must be strings", number)
            change = self._subscribe if method == "SUBSCRIBE" else self._unsubscribe
            return change(tuple(params)) or _result(None, number)
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(self.streams), number)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params, number)
        known = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
        return _error(2, f"Invalid request: unknown variant `{method}`, expected one of {known}", number)

    def _good_id(self, number: object) -> bool:
        if isinstance(number, bool):
            return False
        if self.rules.exchange == BINANCE_SPOT and isinstance(number, str):
            return len(number) <= 36
        return number is None or (isinstance(number, int) and number >= 0)

    def _subscribe(self, streams: tuple[str, ...]) -> list[Instruction]:
        for stream in streams:
            self.streams[stream] = delivers(stream, self.path.route, self.rules.exchange)
        return [Close(1008, "Too many streams")] if len(self.streams) > MAXIMUM_STREAMS else []

    def _unsubscribe(self, streams: tuple[str, ...]) -> list[Instruction]:
        for stream in streams:
            self.streams.pop(stream, None)
        return []

    def _property(self, method: str, params: object, number: object) -> list[Instruction]:
        if not isinstance(params, list) or not params or not isinstance(params[0], str):
            return _error(2, "Invalid request: property name must be a string", number)
        if params[0] != "combined":
            return _error(0, "Unknown property", number)
        if method == "GET_PROPERTY":
            return _result(self.combined, number)
        if len(params) > 2:
            return _error(2, "Invalid request: too many parameters", number)
        if len(params) < 2 or not isinstance(params[1], bool):
            return _error(1, "Invalid value type: expected Boolean", number)
        self.combined = params[1]
        return _result(None, number)


def _payload(sent: float) -> bytes:
    return str(int(sent * 1000)).encode()


def _result(result: object, number: object) -> list[Instruction]:
    return [Say(json.dumps({"result": result, "id": number}, ensure_ascii=False, separators=(",", ":")))]


def _error(code: int, message: str, number: object = None) -> list[Instruction]:
    error: dict[str, object] = {"code": code, "msg": message}
    if number is not None:
        error["id"] = number
    return [Say(json.dumps(error, ensure_ascii=False, separators=(",", ":")))]
