"""Time coverage: since when, without a break, a channel was listened to. Pure.

The rule: a batch whose connection has delivered without a break since before the end of what is held
extends it from there to the batch's newest receive time; any other batch begins a new range at its own
first record. Two connections may deliver at once, and the first batch of the later one may overtake the
last of the earlier one: the end that a new range left behind is kept, so that it still grows on. A lost
batch (a jump in ``n``) moves the ``since`` of all later ones of that producer behind the loss, so it
always begins a new range. All times are our clock's, half-open microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Key: TypeAlias = tuple[int, str]
"""(instrument_id, channel)."""
Span: TypeAlias = tuple[int, int]


def listened(upper: int | None, since: int, first: int, last: int) -> Span:
    """What a batch with records received in [first, last] adds to coverage that ends at ``upper``."""
    start = first if upper is None or upper < since else min(upper, first)
    return start, last + 1


class Listening:
    """Spans of one transaction, per channel, and where each channel's coverage ends after it."""

    def __init__(self, uppers: Mapping[Key, int | None], loose_ends: Mapping[Key, int] | None = None) -> None:
        self.uppers = dict(uppers)
        self.loose_ends = dict(loose_ends or {})
        """Where the range before the newest one ends."""
        self.spans: dict[Key, list[Span]] = {}

    def note(self, key: Key, since: int, first: int, last: int) -> None:
        """A batch brought records of this channel."""
        upper = self.uppers.get(key)
        span = listened(upper, since, first, last)
        loose_end = self.loose_ends.get(key)
        if loose_end is not None and since <= loose_end <= first:
            span = (loose_end, span[1])
        elif upper is not None and upper < span[0]:
            self.loose_ends[key] = upper
        self.spans.setdefault(key, []).append(span)
        self.uppers[key] = span[1] if upper is None else max(upper, span[1])
