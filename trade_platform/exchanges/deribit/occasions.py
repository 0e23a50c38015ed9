"""When Deribit is away by announcement: its releases, and the settlement of every day."""

from __future__ import annotations

from typing import Final

from trade_platform.domain.model import DAY, MINUTE

RELEASE_WEEKDAY: Final = 1
"""Tuesday, where Monday is 0."""
RELEASE_MINUTE: Final = 9 * 60
RELEASE_MINUTES: Final = 45
"""Expected are 15 to 30; some took longer."""
SETTLEMENT_MINUTE: Final = 8 * 60
SETTLEMENT_MINUTES: Final = 1
_FIRST_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday."""


def occasion(market_time: int) -> str:
    """What is announced for this time (microseconds UTC); empty where nothing is."""
    days, within = divmod(market_time, DAY)
    minute = within // MINUTE
    weekday = (days + _FIRST_WEEKDAY) % 7
    if weekday == RELEASE_WEEKDAY and 0 <= minute - RELEASE_MINUTE < RELEASE_MINUTES:
        return "release, Tuesdays 09:00 UTC"
    if 0 <= minute - SETTLEMENT_MINUTE < SETTLEMENT_MINUTES:
        return "settlement, daily 08:00 UTC"
    return ""
