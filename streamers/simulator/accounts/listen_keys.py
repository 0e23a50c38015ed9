"""USD-M's listenKeys: one per account, whoever asks; alive for an hour unless it is extended.

Times are microseconds UTC of the exchange's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from streamers.simulator.binance_parameters import Refused
from streamers.simulator.listing import MINUTE

LIFE: Final = 60 * MINUTE


class ListenKey(NamedTuple):
    """A key that works."""

    text: str
    until: int


class ListenKeys:
    """Those of one exchange."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._made = 0
        self._keys: dict[str, ListenKey] = {}

    def obtain(self, account: str, now: int) -> str:
        """The account's key, made or extended."""
        known = self._keys.get(account)
        if known is None or known.until <= now:
            self._made += 1
            known = ListenKey(sha256(f"{self._seed}/{account}/{self._made}/{now}".encode()).hexdigest(), 0)
        self._keys[account] = ListenKey(known.text, now + LIFE)
        return known.text

    def extend(self, account: str, now: int) -> str:
        """The account's key, good for another hour; raises Refused where it has none any more."""
        if account not in self._keys or self._keys[account].until <= now:
            raise Refused(-1125, "This listenKey does not exist.")
        return self.obtain(account, now)

    def end(self, account: str) -> str | None:
        """Take an account's key away; which it was."""
        key = self._keys.pop(account, None)
        return key and key.text

    def owner(self, text: str, now: int) -> str | None:
        """Whose key it is, while it works."""
        for account, key in self._keys.items():
            if key.text == text and key.until > now:
                return account
        return None

    def of(self, account: str) -> str | None:
        """The account's key."""
        key = self._keys.get(account)
        return key and key.text

    def lapsed(self, now: int) -> Iterator[tuple[str, str]]:
        """(account, key) of those whose hour is over; each is told once."""
        for account, key in list(self._keys.items()):
            if key.until <= now:
                del self._keys[account]
                yield account, key.text
