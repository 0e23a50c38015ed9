"""How wanted channels are spread over connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Final

from trade_platform.domain.selection import Wanted
from trade_platform.exchanges.session import ConnectionPlan

SHARD: Final = 200
"""Streams of one connection; Binance allows 1024, but all of them are lost together when it breaks."""


def shards(
    place: str, path: str, wanted: Iterable[Wanted], previous: Sequence[ConnectionPlan]
) -> list[ConnectionPlan]:
    """Connections of one place. What a previous one holds stays there; room is filled before one is added."""
    waiting = dict.fromkeys(sorted(wanted, key=lambda one: (one.symbol, one.channel)))
    held = {plan.name: [one for one in plan.wanted if one in waiting] for plan in previous}
    for kept in held.values():
        for one in kept:
            waiting.pop(one, None)
    rest = list(waiting)
    names = (name for number in count() if (name := f"{place}-{number}") not in held)
    for kept in held.values():
        room = max(0, SHARD - len(kept))
        kept.extend(rest[:room])
        rest = rest[room:]
    for start in range(0, len(rest), SHARD):
        held[next(names)] = rest[start : start + SHARD]
    return [ConnectionPlan(name=name, path=path, wanted=tuple(kept)) for name, kept in held.items() if kept]
