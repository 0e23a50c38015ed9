"""The server half of a Deribit connection: JSON-RPC, heartbeat, subscriptions, credits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from streamers.simulator.deribit_rest import Answered, DeribitRest, envelope, refusal
from streamers.simulator.hub import Close, Frame, Instruction, Say
from streamers.simulator.limits import Bucket

if TYPE_CHECKING:
    from streamers.simulator.accounts.deribit_side import PrivateSide

MAXIMUM_CHANNELS = 500
MAXIMUM_BYTES = 32_768
INTERVALS = ("raw", "100ms", "agg2")
RESOLUTIONS = ("1", "3", "5", "10", "15", "30", "60", "120", "180", "360", "720", "1D")
KINDS = ("future", "option", "spot", "future_combo", "option_combo", "any")
HEARTBEAT = '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}'
TEST_REQUEST = '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}'
EXCHANGE_WIDE = ("platform_state", "platform_state.public_methods_state", "announcements")


class Rules(msgspec.Struct, frozen=True):
    """Times in real seconds."""

    inactivity: float = 600.0
    answer_within: float = 10.0
    """How long a test_request may wait for public/test (the real allowance is unknown)."""

    def scaled(self, scale: float) -> Rules:
        return Rules(self.inactivity * scale, self.answer_within * scale)


class DeribitConversation:
    """One connection."""

    def __init__(
        self,
        rest: DeribitRest,
        symbols: Callable[[], set[str]],
        rules: Rules | None = None,
        private: PrivateSide | None = None,
    ) -> None:
        self.rest = rest
        self.private = private
        """Where the exchange has accounts: who this is."""
        self.symbols = symbols
        self.rules = rules or Rules()
        self.streams: dict[str, bool] = {}
        self.authorised = False
        self._interval = 0.0
        self._next_beat = self._heard = 0.0
        self._beats = 0
        self._asked: float | None = None
        self._credits = Bucket(50_000, 10_000)
        self._subscribe_credits = Bucket(30_000, 10_000)
        self._instrument_credits = Bucket(500_000, 10_000)
        self._methods: dict[str, Callable[[object, dict[str, Any], float], list[Instruction]]] = {
            "public/subscribe": self._subscribe,
            "private/subscribe": self._subscribe,
            "public/unsubscribe": self._unsubscribe,
            "private/unsubscribe": self._unsubscribe,
            "public/unsubscribe_all": self._unsubscribe_all,
            "public/set_heartbeat": self._set_heartbeat,
            "public/disable_heartbeat": self._disable_heartbeat,
            "public/test": self._test,
            "public/auth": self._auth,
        }

    def opened(self, now: float) -> list[Instruction]:
        self._heard = now
        return []

    def receive(self, text: str, now: float) -> list[Instruction]:
        self._heard = now
        if len(text) > MAXIMUM_BYTES:
            return [self._error(None, -32600, "request entity too large")]
        try:
            request = json.loads(text)
        except ValueError:
            return [self._error(None, -32700, "Parse error")]
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return [self._error(None, -32600, "Invalid Request")]
        number, method, params = request.get("id"), request["method"], request.get("params") or {}
        if not self._spend(method, now):
            return [self._error(number, 10028, "too_many_requests"), Close(1008, "too_many_requests")]
        if not isinstance(params, dict):
            return [
                self._error(
                    number, -32602, "Invalid params", {"reason": "must be an object", "param": "params"}
                )
            ]
        own = self._methods.get(method)
        if own is not None:
            return own(number, params, now)
        if self.private is not None and method.startswith("private/") and not self.rest.maintenance:
            return [Say(envelope(number, self.private.call(method, params), self.rest.now()))]
        answered = self.rest.call(method, params, now)
        return [Say(envelope(number, answered, self.rest.now()))]

    def ponged(self, payload: bytes, now: float) -> list[Instruction]:
        _ = payload
        self._heard = now
        return []

    def pinged(self, now: float) -> list[Instruction]:
        self._heard = now
        return []

    def due(self, now: float) -> list[Instruction]:
        if self._asked is not None and now - self._asked > self.rules.answer_within:
            return [Close(1000, "heartbeat failed")]
        if now - self._heard > self.rules.inactivity:
            return [Close(1000, "inactivity")]
        if not self._interval or now < self._next_beat:
            return []
        self._next_beat = now + self._interval
        self._beats += 1
        kind = "test_request" if self._beats % 2 == 0 else "heartbeat"
        if kind == "test_request" and self._asked is None:
            self._asked = now
        return [Say(TEST_REQUEST if kind == "test_request" else HEARTBEAT)]

    def postpone(self, now: float) -> int:
        self._heard, self._asked = now, None
        if not self._interval or now < self._next_beat:
            return 0
        self._next_beat = now + self._interval
        return 1

    def flood(self, count: int, now: float) -> list[Instruction]:
        """Many test_requests at once; each wants its public/test."""
        if self._asked is None:
            self._asked = now
        return [Say(TEST_REQUEST)] * count

    def wrap(self, frame: Frame) -> str:
        return (
            '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
            f'{frame.stream.partition("@")[0]}","data":{frame.data}}}}}'
        )

    def goodbye(self, now_ms: int) -> list[Instruction]:
        _ = now_ms
        if "platform_state" in self.streams:
            return [Say(self.wrap(Frame("platform_state", '{"maintenance":true}')))]
        return []

    # --- methods of a socket ----------------------------------------------------------------------------

    def _subscribe(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        channels = params.get("channels")
        if not isinstance(channels, list) or not all(isinstance(one, str) for one in channels):
            return [
                self._error(number, -32602, "Invalid params", {"reason": "wrong format", "param": "channels"})
            ]
        if len(channels) > MAXIMUM_CHANNELS:
            return [
                self._error(
                    number, -32602, "Invalid params", {"reason": "too many channels", "param": "channels"}
                )
            ]
        if not self.authorised and any(channel.endswith(".raw") for channel in channels):
            return [self._error(number, 13778, "raw_subscriptions_not_available_for_unauthorized")]
        symbols = self.symbols()
        named = {channel: self._stream(channel, symbols) for channel in channels}
        taken = [channel for channel, stream in named.items() if stream]
        self.streams.update({stream: True for stream in named.values() if stream})
        _ = now
        return [self._result(number, taken)]

    def _stream(self, channel: str, symbols: set[str]) -> str | None:
        """The hub's name of a channel; None where it is none, or private and not for this connection."""
        if known_channel(channel, symbols):
            return channel
        return None if self.private is None else self.private.stream(channel)

    def _unsubscribe(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        names = {stream.partition("@")[0]: stream for stream in self.streams}
        channels = [one for one in params.get("channels", []) if self.streams.pop(names.get(one, ""), None)]
        _ = now
        return [self._result(number, channels)]

    def _unsubscribe_all(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        _ = params, now
        self.streams.clear()
        return [self._result(number, "ok")]

    def _set_heartbeat(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        interval = params.get("interval")
        if not isinstance(interval, int | float) or interval < 10:
            return [
                self._error(
                    number, -32602, "Invalid params", {"reason": "value too low", "param": "interval"}
                )
            ]
        self._interval = float(interval)
        self._next_beat = now + self._interval
        return [self._result(number, "ok")]

    def _disable_heartbeat(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        _ = params, now
        self._interval, self._asked = 0.0, None
        return [self._result(number, "ok")]

    def _test(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        _ = params, now
        self._asked = None
        return [self._result(number, {"version": "1.2.26"})]

    def _auth(self, number: object, params: dict[str, Any], now: float) -> list[Instruction]:
        """Without accounts anybody who says a client_id is somebody."""
        if self.private is not None:
            answered = self.private.log_in(params, now)
            self.authorised = self.authorised or answered.error is None
            return [Say(envelope(number, answered, self.rest.now()))]
        if not params.get("client_id"):
            return [self._error(number, 13004, "invalid_credentials")]
        self.authorised = True
        token = {
            "access_token": "simulated",
            "expires_in": 31_536_000,
            "refresh_token": "simulated",
            "token_type": "bearer",
        }
        return [self._result(number, {**token, "scope": "connection mainaccount", "enabled_features": []})]

    def _spend(self, method: str, now: float) -> bool:
        if method.endswith(("/subscribe", "/unsubscribe")):
            return self._subscribe_credits.take(3_000, now)
        if method == "public/get_instruments":
            return self._instrument_credits.take(10_000, now)
        if method == "public/test":
            return True
        own = None if self.private is None else self.private.spend(method, now)
        if own is not None:
            return own
        return self._credits.take(500, now)

    def _result(self, number: object, result: object) -> Say:
        return Say(envelope(number, Answered(msgspec.json.encode(result).decode()), self.rest.now()))

    def _error(self, number: object, code: int, message: str, data: object = None) -> Say:
        return Say(envelope(number, refusal(code, message, data), self.rest.now()))


def known_channel(channel: str, symbols: set[str]) -> bool:
    """Whether the exchange takes such a subscription; others are silently left out of its answer."""
    if channel in EXCHANGE_WIDE:
        return True
    topic, _, rest = channel.partition(".")
    parts = rest.split(".")
    if topic in (
        "deribit_price_index",
        "deribit_volatility_index",
        "markprice",
        "estimated_expiration_price",
    ):
        return bool(re.fullmatch(r"(options\.)?[a-z0-9]+_[a-z0-9]+", rest))
    if topic == "instrument" and parts[0] == "state":
        return len(parts) == 3 and parts[1] in KINDS
    if topic == "chart":
        return len(parts) == 3 and parts[0] == "trades" and parts[1] in symbols and parts[2] in RESOLUTIONS
    if topic == "quote":
        return rest in symbols
    if topic == "trades" and len(parts) == 3:
        return parts[0] in KINDS and parts[2] in INTERVALS
    if topic == "book" and len(parts) == 4:
        return parts[0] in symbols and parts[2] in ("1", "10", "20")
    return (
        topic in ("trades", "ticker", "book", "perpetual")
        and len(parts) == 2
        and parts[0] in symbols
        and parts[1] in INTERVALS
    )
