"""Balances and positions of one moment, told in turn: of two that share it the later one counts.

The exchange's times are milliseconds, and ours are those of a whole chunk that the socket gave; without a
number beside them only the turn in which they came says which is newer. The microseconds left free hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from trade_platform.domain.accounts import AccountRecord, Balance, Position

MILLISECOND: Final = 1000


class Ties:
    """Of one connection, whose messages come in turn."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def broken(self, records: Iterable[AccountRecord]) -> list[AccountRecord]:
        """The same records; where one shares a moment with the one before, it comes a microsecond later."""
        return [self._placed(one) if isinstance(one, Balance | Position) else one for one in records]

    def _placed(self, one: Balance | Position) -> Balance | Position:
        key = one.asset if isinstance(one, Balance) else f"{one.symbol}|{one.position_side}"
        last = self._last.get(key, -1)
        at = one.event_time
        if at < last and at // MILLISECOND < last // MILLISECOND:
            return one  # an old one, come out of turn
        if at <= last:
            at = last + 1
        self._last[key] = at
        return one if at == one.event_time else replace(one, event_time=at)
