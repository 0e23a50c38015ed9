"""The server half of spot's WebSocket API, as far as a private stream needs it.

Its path is ``/ws-api/v3`` on the same port as the market streams (run file: ``websocket``). Events of an
account wait in the hub under ``user_stream(account)``; here they are wrapped with the subscription's number.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from streamers.simulator.accounts.binance_keys import BAD_KEY, BAD_SIGNATURE, Keyring, api_text
from streamers.simulator.binance import SPOT_RULES, BinanceConversation, Path, Rules
from streamers.simulator.binance_parameters import Refused, required
from streamers.simulator.binance_rest import too_much
from streamers.simulator.hub import Frame, Instruction, Say
from streamers.simulator.limits import WeightWindow

API_PATH: Final = "/ws-api/v3"
MOST_SUBSCRIPTIONS: Final = 65_535
"""In the life of one connection."""
WEIGHTS: Final = {
    "session.logon": 2,
    "session.status": 2,
    "session.logout": 2,
    "session.subscriptions": 2,
    "userDataStream.subscribe": 2,
    "userDataStream.subscribe.signature": 2,
    "userDataStream.unsubscribe": 2,
}
Params: TypeAlias = dict[str, Any]


def user_stream(account: str) -> str:
    """The hub's name for what an account hears."""
    return f"{account}@account"


class SpotApiConversation(BinanceConversation):
    """One connection."""

    def __init__(
        self,
        keys: Keyring,
        window: WeightWindow,
        clock: Callable[[], int],
        rules: Rules = SPOT_RULES,
        *,
        tells_limits: bool = True,
    ) -> None:
        super().__init__(rules, Path("", False, ()))
        self.keys = keys
        self._window = window
        self._clock = clock
        self._tells_limits = tells_limits
        self._connected = clock()
        self._session: tuple[str, str, int] | None = None
        """(account, key, since) of who is logged on."""
        self._subscriptions: dict[str, int] = {}
        """Account → number."""
        self._signed: dict[str, str] = {}
        """Account → the key that it subscribed with."""
        self._next = 0
        self._used = 0
        self._now = 0.0
        self._methods: dict[str, Callable[[Params], object]] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": self._clock()},
            "session.logon": self._logon,
            "session.status": lambda _: self._status(),
            "session.logout": lambda _: self._logout(),
            "session.subscriptions": lambda _: [
                {"subscriptionId": number} for number in self._subscriptions.values()
            ],
            "userDataStream.subscribe": lambda _: self._subscribe_session(),
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._cancel,
        }
        self._said: list[Instruction] = []

    # --- the connection ---------------------------------------------------------------------------------

    def receive(self, text: str, now: float) -> list[Instruction]:
        try:
            request = json.loads(text, parse_float=str)
        except ValueError:
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return [self._refusal(None, Refused(-1100, "Malformed request."))]
        self._now = now
        number, method, params = request.get("id"), request["method"], request.get("params") or {}
        verdict = self._window.spend(WEIGHTS.get(method, 1), now)
        self._used = verdict.used
        if verdict.status != 200:
            why = too_much(self._window, verdict, self._clock() * 1000)
            return [self._refusal(number, Refused(-1003, why, verdict.status))]
        if dead := self._dead():
            return dead
        try:
            result = self._perform(method, params)
        except Refused as refused:
            return [self._refusal(number, refused)]
        said, self._said = self._said, []
        return [Say(self._envelope({"id": number, "status": 200, "result": result})), *said]

    def wrap(self, frame: Frame) -> str:
        account = frame.stream.removesuffix("@account")
        if account not in self._subscriptions:
            return f'{{"event":{frame.data}}}'
        return f'{{"subscriptionId":{self._subscriptions[account]},"event":{frame.data}}}'

    def goodbye(self, now_ms: int) -> list[Instruction]:
        return [Say(f'{{"event":{{"e":"serverShutdown","E":{now_ms}}}}}')]

    def terminate(self, account: str) -> list[Instruction]:
        """End an account's subscription from the server's side; the socket lives on."""
        number = self._subscriptions.pop(account, None)
        if number is None:
            return []
        self.streams.pop(user_stream(account), None)
        self._signed.pop(account, None)
        event = f'{{"e":"eventStreamTerminated","E":{self._clock()}}}'
        return [Say(f'{{"subscriptionId":{number},"event":{event}}}')]

    def silence(self, account: str) -> None:
        """Say nothing more of an account; that its key is dead, the next request is told."""
        self.streams.pop(user_stream(account), None)

    def _count(self, now: float) -> list[Instruction]:
        """Here requests cost weight; how many frames come does not matter."""
        _ = now
        return []

    # --- requests ---------------------------------------------------------------------------------------

    def _perform(self, method: str, params: object) -> object:
        if method not in self._methods:
            raise Refused(-1020, f"{method} is not simulated.")
        if not isinstance(params, dict):
            raise Refused(-1100, "Illegal characters found in parameter 'params'.")
        return self._methods[method](params)

    def _logon(self, params: Params) -> object:
        account, key = self._check(params, ed25519=True)
        self._session = (account, key, self._clock())
        return self._status()

    def _status(self) -> object:
        account, key, since = self._session or ("", "", 0)
        return {
            "apiKey": key or None,
            "authorizedSince": since or None,
            "connectedSince": self._connected,
            "returnRateLimits": self._tells_limits,
            "serverTime": self._clock(),
            "userDataStream": account in self._subscriptions,
        }

    def _logout(self) -> object:
        """Ends what the session subscribed to, not what was subscribed to by signature."""
        if self._session is not None and self._session[0] not in self._signed:
            self._said += self.terminate(self._session[0])
        self._session = None
        return self._status()

    def _subscribe_session(self) -> object:
        if self._session is None:
            raise Refused(*BAD_KEY)
        return self._add(self._session[0])

    def _subscribe_signed(self, params: Params) -> object:
        account, key = self._check(params)
        result = self._add(account)
        self._signed[account] = key
        return result

    def _add(self, account: str) -> object:
        if account in self._subscriptions:
            raise Refused(-2035, "User Data Stream subscription already active.")
        if self._next > MOST_SUBSCRIPTIONS:
            raise Refused(-2042, "Too many User Data Stream subscriptions on this connection.")
        self._subscriptions[account] = self._next
        self._next += 1
        self.streams[user_stream(account)] = True
        return {"subscriptionId": self._subscriptions[account]}

    def _cancel(self, params: Params) -> object:
        """One subscription, or all."""
        wanted = params.get("subscriptionId")
        ending = [account for account, number in self._subscriptions.items() if wanted in (None, number)]
        if not ending:
            raise Refused(-2036, "User Data Stream subscription not active.")
        for account in ending:
            self._said += self.terminate(account)
        return {}

    def _check(self, params: Params, *, ed25519: bool = False) -> tuple[str, str]:
        """(account, key) of who signed this."""
        query = {name: str(value) for name, value in params.items()}
        key, signature = required(query, "apiKey"), required(query, "signature")
        if ed25519 and self.keys.known(key, self._now).algorithm != "ed25519":
            raise Refused(*BAD_SIGNATURE)
        return self.keys.signed(key, query, api_text(params), signature, self._now).name, key

    def _dead(self) -> list[Instruction]:
        """The key of a session or subscription died: the next request says so, and both are gone."""
        keys = dict(self._signed)
        if self._session is not None:
            keys[self._session[0]] = self._session[1]
        dead = [account for account, key in keys.items() if not self.keys.lives(key)]
        if not dead:
            return []
        for account in dead:
            self.terminate(account)
        if self._session is not None and self._session[0] in dead:
            self._session = None
        return [self._refusal(None, Refused(*BAD_KEY))]

    def _refusal(self, number: object, refused: Refused) -> Instruction:
        error = {"code": refused.code, "msg": str(refused)}
        return Say(self._envelope({"id": number, "status": refused.status, "error": error}))

    def _envelope(self, said: dict[str, object]) -> str:
        if self._tells_limits:
            limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
            said["rateLimits"] = [{**limit, "limit": self._window.limit, "count": self._used}]
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
