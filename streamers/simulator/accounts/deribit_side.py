"""The private side of one connection to Deribit: who it is, and what that opens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streamers.simulator.accounts import deribit_objects as objects
from streamers.simulator.accounts.deribit_login import Token
from streamers.simulator.accounts.deribit_parameters import allows
from streamers.simulator.deribit_rest import Answered, Refused, refusal
from streamers.simulator.listing import Listing

if TYPE_CHECKING:
    from streamers.simulator.accounts.deribit import DeribitHalf
    from streamers.simulator.accounts.desk import Account

LOG: Final = "private/get_transaction_log"
NEEDED: Final = {"orders": "trade:read", "trades": "trade:read", "changes": "trade:read"}
"""Scope of ``user.…`` channels; the others need account:read."""
INTERVALS: Final = ("raw", "100ms", "agg2")
NO_TOKEN: Final = refusal(13009, "unauthorized", {"reason": "invalid_token"})


class PrivateSide:
    """Who one connection is, and what that opens to it."""

    def __init__(self, half: DeribitHalf) -> None:
        self.half = half
        self.account: Account | None = None
        self.token: Token | None = None

    @property
    def good(self) -> bool:
        """Logged in, and not expired."""
        return self.token is not None and self.half.logins.is_good(self.token)

    def log_in(self, params: dict[str, Any], now: float) -> Answered:
        """Answer ``public/auth``."""
        try:
            self.account, self.token, result = self.half.logins.log_in(params, now)
        except Refused as refused:
            return refused.answered
        return Answered(objects.dumps(result))

    def call(self, name: str, params: dict[str, Any]) -> Answered:
        """Answer a private method."""
        if params.get("access_token"):
            try:
                account, token = self.half.logins.holder(str(params["access_token"]))
            except Refused as refused:
                return refused.answered
            return self.half.methods.call(account, token.scope, name, params)
        if self.account is None or self.token is None or not self.good:
            return NO_TOKEN
        if name == "private/logout":
            self.account = self.token = None
            return Answered('"ok"')
        return self.half.methods.call(self.account, self.token.scope, name, params)

    def spend(self, name: str, now: float) -> bool | None:
        """Whether credits are enough; None where the connection's own are asked."""
        if self.account is None or name != LOG:
            return None
        return self.half.spend(self.account.name, name, now)

    def stream(self, channel: str) -> str | None:
        """The hub's name for a private channel; None where it is unknown, or not for this key."""
        if self.account is None or self.token is None or not self.good:
            return None
        parts = channel.split(".")
        if parts[0] != "user" or len(parts) < 2:
            return None
        if not allows(self.token.scope, NEEDED.get(parts[1], "account:read")):
            return None
        if not self._known(parts[1], ".".join(parts[2:])):
            return None
        if parts[1] == "portfolio":
            self.half.listened(self.account.name)
        return internal(channel, self.account.name)

    def _known(self, what: str, rest: str) -> bool:
        if what in ("lock", "access_log"):
            return not rest
        if what == "portfolio":
            return rest.isalnum()
        if what not in NEEDED:
            return False
        topic, _, interval = rest.rpartition(".")
        pits = self.half.floor.pits
        return interval in INTERVALS and any(topic in topics(pit.listing) for pit in pits.values())


def internal(channel: str, account: str) -> str:
    """The hub's name of what an account hears on a channel."""
    return f"{channel}@{account}"


def topics(listing: Listing) -> list[str]:
    """The ways in which an instrument is named in channels."""
    kinds, families = (objects.kind_of(listing), "any"), (listing.settlement or listing.quote, "any")
    return [listing.symbol, *(f"{kind}.{family}" for kind in kinds for family in families)]
