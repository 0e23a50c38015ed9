"""Which batches of which producer came: a repeated ``n`` is ignored, a jump in ``n`` is a Gap. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from trade_platform.adapters.bus import Entry
from trade_platform.adapters.database.positions import Progress
from trade_platform.domain.accounts import AccountRecord
from trade_platform.domain.model import Gap, GapReason, Record
from trade_platform.processors.reading import Reading


class Accepted(msgspec.Struct, frozen=True):
    """One entry that is to be stored."""

    reading: Reading
    entry: Entry
    since: int
    """The entry's own ``since``, or the moment after which batches of its producer were lost."""


class Screened(msgspec.Struct, frozen=True):
    """What of a batch is new."""

    accepted: list[Accepted]
    progress: dict[str, Progress]
    """Every producer that moved."""
    gaps: list[tuple[str, Gap]]
    """(exchange, gap)."""
    repeated: int
    jumped: int = 0
    """Batches that did not come."""


def screen(
    stream: str, readings: Iterable[Reading], known: dict[str, Progress], *, repeats: bool = True
) -> Screened:
    """Judge each entry by its producer's count; ``known`` is not changed.

    Without ``repeats`` what comes again is accepted again: a rehearsal of what the count is for.
    """
    accepted: list[Accepted] = []
    progress: dict[str, Progress] = {}
    gaps: list[tuple[str, Gap]] = []
    repeated = jumped = 0
    for reading in readings:
        entry = reading.entry
        if entry is None:
            continue
        before = progress.get(entry.producer) or known.get(entry.producer)
        highest = before.n if before else 0
        if entry.n <= highest and repeats:
            repeated += 1
            continue
        first, last = _times(reading.records, entry.since if before is None else before.seen_at)
        unbroken = before.unbroken_since if before else None
        if entry.n > highest + 1:
            gaps.append((entry.exchange, _jump(stream, entry, highest + 1, before, first)))
            unbroken = first
            jumped += entry.n - highest - 1
        progress[entry.producer] = Progress(entry.n, last, unbroken)
        accepted.append(Accepted(reading, entry, max(entry.since, unbroken or 0)))
    return Screened(accepted, progress, gaps, repeated, jumped)


def _jump(stream: str, entry: Entry, expected: int, before: Progress | None, first: int) -> Gap:
    lost = f"batch {expected}" if entry.n - 1 == expected else f"batches {expected} to {entry.n - 1}"
    return Gap(
        symbol=None,
        channel=None,
        reason=GapReason.BUS,
        first_sequence=None,
        last_sequence=None,
        since=min(before.seen_at if before else entry.since, first),
        until=first,
        detail=f"{lost} of {entry.producer} did not arrive on {stream}",
    )


def _times(records: Sequence[Record | AccountRecord], otherwise: int) -> tuple[int, int]:
    """(first, newest) moment, by our clock, of a batch's records."""
    if not records:
        return otherwise, otherwise
    return _time(records[0], otherwise), _time(records[-1], otherwise)


def _time(record: Record | AccountRecord, otherwise: int) -> int:
    if isinstance(record, Gap):
        return record.until or record.since
    received: int = getattr(record, "receive_time", otherwise)
    return received
