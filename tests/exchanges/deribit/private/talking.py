"""The other side of a private conversation, by hand: two clocks that the test moves, and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from trade_platform.exchanges.account import AccountOutput, KeyFacts, Sign, Signed
from trade_platform.exchanges.deribit.private.exchange import DeribitAccounts
from trade_platform.exchanges.deribit.private.session import DeribitAccountSession
from trade_platform.exchanges.session import Send

T = TypeVar("T")

KEY = KeyFacts(key_id="AMANDA")
SCOPE = "account:read connection mainaccount trade:read wallet:read"
CHANNELS = ["user.changes.any.any.raw", "user.portfolio.any", "user.lock", "user.access_log"]
CHECK = "private/get_account_summary"
MARKET = 1_766_000_000_000_000


def only(outputs: Iterable[AccountOutput], kind: type[T]) -> list[T]:
    """Those outputs that are of a kind."""
    return [output for output in outputs if isinstance(output, kind)]


def calls(outputs: Iterable[AccountOutput]) -> list[dict[str, Any]]:
    """The JSON-RPC requests among the outputs."""
    return [json.loads(output.text) for output in only(outputs, Send)]


def call(outputs: Iterable[AccountOutput], method: str) -> dict[str, Any]:
    """The one request of this method among the outputs."""
    (found,) = [one for one in calls(outputs) if one["method"] == method]
    return found


class Conversation:
    def __init__(self, *, testnet: bool | None = False) -> None:
        self.session: DeribitAccountSession = DeribitAccounts(testnet=testnet).session(KEY)
        self.now = 100.0
        self.market = MARKET

    def open(self) -> Sequence[AccountOutput]:
        return self.session.opened(self.now, self.market)

    def sign(self, outputs: Iterable[AccountOutput]) -> Sequence[AccountOutput]:
        """What comes of a signature."""
        (sign,) = only(outputs, Sign)
        sign.prepare(KEY, self.market, "1iqt2wls")
        return sign.then(Signed(key=KEY, signature="ab" * 32, at=self.market, nonce="1iqt2wls"))

    def say(self, **message: Any) -> Sequence[AccountOutput]:
        """The exchange sends this; its clock and ours move on by a millisecond."""
        self.market += 1000
        return self.session.receive(json.dumps({"jsonrpc": "2.0", **message}), self.market)

    def tell(self, channel: str, data: Any) -> Sequence[AccountOutput]:
        return self.say(method="subscription", params={"channel": channel, "data": data})

    def after(self, seconds: float) -> Sequence[AccountOutput]:
        self.now += seconds
        return self.session.due(self.now, self.market)

    def idle(self, seconds: float) -> list[AccountOutput]:
        """So much time passes with heartbeats, and questions whether we are logged in answered well."""
        outputs: list[AccountOutput] = []
        end = self.now + seconds
        while self.now < end:
            self.say(method="heartbeat", params={"type": "heartbeat"})
            for output in self.after(min(5.0, end - self.now)):
                asked = json.loads(output.text) if isinstance(output, Send) else {}
                if asked.get("method") == CHECK:
                    self.say(id=asked["id"], result={"currency": "BTC"})
                else:
                    outputs.append(output)
        return outputs

    def grant(
        self, number: object, *, scope: str = SCOPE, expires_in: float = 900, testnet: bool = False
    ) -> Sequence[AccountOutput]:
        """The answer to a login or its renewal."""
        result = {
            "access_token": "access",
            "expires_in": expires_in,
            "refresh_token": f"refresh-{number}",
            "scope": scope,
            "token_type": "bearer",
            "enabled_features": [],
        }
        return self.say(id=number, result=result, testnet=testnet, usOut=self.market)

    def refuse(self, number: object, code: int, message: str = "words") -> Sequence[AccountOutput]:
        return self.say(id=number, error={"code": code, "message": message, "data": {"reason": "r"}})

    def log_in(self, *, expires_in: float = 900) -> Sequence[AccountOutput]:
        """Open, sign, granted: what it says then."""
        number = call(self.sign(self.open()), "public/auth")["id"]
        return self.grant(number, expires_in=expires_in)

    def start(self, *, expires_in: float = 900) -> Conversation:
        """Live."""
        asked = call(self.log_in(expires_in=expires_in), "private/subscribe")
        self.say(id=asked["id"], result=sorted(asked["params"]["channels"], reverse=True))
        assert self.session.live
        return self
