"""Does an exchange still deliver, and is an instrument late? Judged by what came, against its own rhythm.

Silence is told from rest by the mean pause between what came last: a busy exchange is missed within
seconds, a thin market after a long time. An exchange that says that it is closed owes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from trade_platform.domain.model import ExchangeStatus

PAUSES: Final = 20
"""So many mean pauses without anything are silence."""
LEAST_PATIENCE: Final = 15.0
"""Seconds; a streamer that dies is started again, and connected, within this."""
MOST_PATIENCE: Final = 300.0
"""No exchange of which something is recorded is wholly silent for so long."""

LATE_PAUSES: Final = 30
"""Trades come in bursts: so many mean pauses without one are nothing that a rhythm explains."""
LEAST_LATE: Final = 120.0
ENOUGH_TRADES: Final = 32
"""Fewer than these say nothing about the rhythm of an instrument."""
TRADING: Final = frozenset({"", "TRADING", "open"})
"""Words of an instrument that trades; empty: nothing was told yet."""

CLOSED: Final = frozenset({ExchangeStatus.LOCKED, ExchangeStatus.MAINTENANCE})


class Delivery(StrEnum):
    """How it stands with an exchange's connection."""

    DELIVERING = "delivering"
    SILENT = "silent"
    """Its streamer runs, or nobody knows; nothing comes."""
    STOPPED = "stopped"
    """Nothing comes, and no process of its streamer lives."""
    CLOSED = "closed"
    """Nothing comes, and the exchange says why: it is in maintenance, or locked."""


def patience(arrivals: Sequence[float]) -> float:
    """Seconds of silence that are no news, from the times of what came last (seconds, in any order)."""
    if len(arrivals) < 2:
        return MOST_PATIENCE
    mean = (max(arrivals) - min(arrivals)) / (len(arrivals) - 1)
    return min(max(mean * PAUSES, LEAST_PATIENCE), MOST_PATIENCE)


def judge_delivery(
    age_seconds: float | None, patience_seconds: float, status: ExchangeStatus, *, alive: bool | None
) -> Delivery:
    """``age_seconds``: since the newest message, None where none is known.

    ``alive``: whether a process of its streamer lives; None where that cannot be seen from here.
    """
    if age_seconds is not None and age_seconds <= patience_seconds:
        return Delivery.DELIVERING
    if status in CLOSED:
        return Delivery.CLOSED
    return Delivery.STOPPED if alive is False else Delivery.SILENT


def is_late(age_seconds: float, trades: int, span_seconds: float) -> bool:
    """Whether an instrument that told so many trades in this span should have told one since."""
    if trades < ENOUGH_TRADES:
        return False
    return age_seconds > max(span_seconds / (trades - 1) * LATE_PAUSES, LEAST_LATE)
