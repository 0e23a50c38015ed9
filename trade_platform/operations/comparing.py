"""Our minutes against the exchange's, from what is held; only the comparison is written here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_evidence import load_evidence
from trade_platform.adapters.database.control_totals import (
    DayCounts,
    absent_minutes,
    asked_until,
    by_hash,
    count_minutes,
    find_differences,
    keep,
    lock_day,
)
from trade_platform.domain.control import NO_EVIDENCE, ROW, Class, Judgement, Pair, judge, rules_of
from trade_platform.operations.partitions import Listed


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What one comparison of an instrument's day found."""

    exchange: str
    symbol: str
    day: date
    counts: DayCounts
    healed: int = 0
    """Differences noted before that are none any more."""
    read: int = 0
    """Candles that were fetched for it."""
    unanswered: str = ""
    """Why the exchange could not be asked now; what was held already is compared all the same."""
    refused: str = ""
    """Why it never will answer."""


def compare_stored(
    connection: Connection, instrument: Listed, day: date, *, asked: int | None = None
) -> Comparison:
    """Compare what is held, in one transaction.

    ``asked``: until when in the day the exchange has just been asked for all that it has; minutes that it
    lacks before that are its own.
    """
    key = instrument.instrument_id, day
    with connection.transaction():
        lock_day(connection, *key)
        asked = max(filter(None, (asked, asked_until(connection, *key))), default=None)
        with by_hash(connection):
            differences = find_differences(connection, *key, rules_of(instrument.exchange))
            both, missing_ours, fillers = count_minutes(connection, *key)
            absent = absent_minutes(connection, *key, asked) if asked else {}
        differences |= {minute: {ROW: (Decimal(trades), None)} for minute, trades in absent.items() if trades}
        found = _judged(connection, instrument, day, differences)
        counts = _counts(found, both, missing_ours, fillers, absent)
        healed = keep(connection, *key, found, counts, asked)
    return Comparison(
        exchange=instrument.exchange, symbol=instrument.symbol, day=day, counts=counts, healed=healed
    )


Found = Sequence[tuple[int, str, Pair, Judgement]]


def _judged(
    connection: Connection, instrument: Listed, day: date, differences: dict[int, dict[str, Pair]]
) -> Found:
    if not differences:
        return []
    evidence = load_evidence(connection, instrument.instrument_id, day, differences)
    return [
        (minute, field, differences[minute][field], judgement)
        for minute in sorted(differences)
        for field, judgement in judge(
            instrument.exchange, differences[minute], evidence.get(minute, NO_EVIDENCE)
        ).items()
    ]


def _counts(found: Found, both: int, missing_ours: int, fillers: int, absent: dict[int, int]) -> DayCounts:
    different = {minute for minute, *_ in found}
    open_ = {minute for minute, *_, judgement in found if judgement.class_ is Class.OPEN}
    traded = sum(trades > 0 for trades in absent.values())
    return DayCounts(
        compared=both + traded,
        equal=both + traded - len(different),
        explained=len(different - open_),
        open=len(open_),
        missing_ours=missing_ours,
        missing_theirs=len(absent) - traded,
        fillers=fillers,
    )
