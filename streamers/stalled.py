"""Events that wait for room: none is thrown away, and their number stays bounded all the same.

While they wait nothing is read, but connections may break again and again, each with a Gap. So Gaps of the
same thing become one that spans them all, and a state that is said twice in a row is said once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.model import ExchangeState, Gap, InstrumentState, Record

MOST_STALLED: Final = 10_000

Waiting: TypeAlias = tuple[str, Sequence[Record], int]
"""(kind, batch, since)."""


def merged(stalled: Iterable[Waiting]) -> deque[Waiting]:
    """The same events, as few as can say it; each stands where the first of its kind stood."""
    kept: dict[object, Waiting] = {}
    last: dict[object, object] = {}
    for position, (kind, batch, since) in enumerate(stalled):
        record = batch[0] if len(batch) == 1 else None
        key: object = position
        if isinstance(record, Gap):
            sequenced = record.first_sequence is not None
            key = (record.symbol, record.channel, record.reason, sequenced)
            if key in kept:
                [before] = kept[key][1]
                kept[key] = (kind, (_span(before, record),), kept[key][2])  # type: ignore[arg-type]
                continue
        elif isinstance(record, ExchangeState | InstrumentState):
            about = record.scope if isinstance(record, ExchangeState) else record.symbol
            said = (record.status, record.reason) if isinstance(record, ExchangeState) else record.status
            if last.get((type(record), about)) == said:
                continue
            last[type(record), about] = said
        kept[key] = (kind, batch, since)
    return deque(kept.values())


def _span(one: Gap, other: Gap) -> Gap:
    ends = [gap.until for gap in (one, other) if gap.until is not None]
    firsts = [gap.first_sequence for gap in (one, other) if gap.first_sequence is not None]
    lasts = [gap.last_sequence for gap in (one, other) if gap.last_sequence is not None]
    return msgspec.structs.replace(
        one,
        first_sequence=min(firsts, default=None),
        last_sequence=max(lasts, default=None),
        since=min(one.since, other.since),
        until=max(ends) if len(ends) == 2 else None,
        detail=one.detail if one.detail == other.detail else f"{one.detail} … {other.detail}"[-200:],
    )
