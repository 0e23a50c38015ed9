"""Two observations before anything is raised: what is on its way looks like a difference, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from trade_platform.domain.difference import Difference
from trade_platform.domain.ohlc import EXACT

ALWAYS: Final = 3
"""Seen so often in a row it is raised, however it changes meanwhile."""


def seen_again(observations: Sequence[Iterable[Difference]]) -> tuple[list[Difference], list[Difference]]:
    """(what the last observation confirms, what it saw that may still pass).

    Confirmed is what was there before with the same value on our side, or as far off as before: a number
    that follows the exchange's at a distance is behind, one that stands still beside it is wrong.
    """
    if not observations:
        return [], []
    *earlier, last = [{one.identity: one for one in seen} for seen in observations]
    confirmed: list[Difference] = []
    pending: list[Difference] = []
    for identity, now in last.items():
        times = [seen[identity] for seen in reversed(earlier) if identity in seen]
        unbroken = len(earlier) >= ALWAYS - 1 and all(identity in seen for seen in earlier[-ALWAYS + 1 :])
        sure = unbroken or any(_is_the_same(before, now) for before in times[:1])
        (confirmed if sure else pending).append(now)
    return confirmed, pending


def _is_the_same(before: Difference, now: Difference) -> bool:
    if before.ours == now.ours:
        return True
    first, second = _distance(before), _distance(now)
    return first is not None and first == second


def _distance(one: Difference) -> Decimal | None:
    if one.ours is None or one.theirs is None:
        return None
    try:
        return EXACT.subtract(Decimal(one.theirs), Decimal(one.ours))
    except InvalidOperation:
        return None
