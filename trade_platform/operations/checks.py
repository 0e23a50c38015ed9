"""Is one instrument's day right? Questions to PostgreSQL, each bounded; what an asset check shows of it.

``compare_stored`` of ``operations/comparing`` is the one check that is not here: it writes what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

import msgspec

from trade_platform.adapters.database.bars import Computed
from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_totals import stored_differences
from trade_platform.adapters.database.day_bars import compute_day
from trade_platform.adapters.database.day_checks import (
    EXAMPLES,
    Stretch,
    broken_rules,
    gaps_of,
    has_trades,
    load_stretches,
    repeated_numbers,
)
from trade_platform.adapters.database.day_rows import counting_channel, load_unit
from trade_platform.adapters.database.snapshot import in_one_snapshot
from trade_platform.adapters.database.stored_minutes import Stored, load_candles
from trade_platform.adapters.database.times import moment
from trade_platform.domain.control import FIELDS, PRICES, Class
from trade_platform.domain.gaps import State
from trade_platform.domain.model import MICROSECONDS, MINUTE
from trade_platform.operations.comparing import compare_stored
from trade_platform.operations.partitions import Listed

LATENESS: Final = 30 * MICROSECONDS
"""By then a minute that is over has its row, if the processor lives."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one question found."""

    good: bool
    words: str
    """One sentence."""
    counts: Mapping[str, int] = {}
    examples: tuple[str, ...] = ()


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Of several instruments as of one: good where each is, and what is wrong is said of each."""
    all_ = list(verdicts)
    if not all_:
        return Verdict(good=True, words="nothing is recorded of it")
    counts: dict[str, int] = {}
    for one in all_:
        for name, count in one.counts.items():
            counts[name] = counts.get(name, 0) + count
    wrong = [one for one in all_ if not one.good]
    words = "; ".join(dict.fromkeys(one.words for one in (wrong or all_)[:EXAMPLES]))
    examples = tuple(example for one in wrong for example in one.examples)
    return Verdict(good=not wrong, words=words, counts=counts, examples=examples[:EXAMPLES])


def open_gaps(connection: Connection, instrument: Listed, day: date) -> Verdict:
    """Nothing that was noted missing of the day waits for its repair."""
    rows = gaps_of(connection, instrument.instrument_id, day)
    waiting = [row for row in rows if row[0] == State.OPEN]
    lost = len(rows) - len(waiting)
    return Verdict(
        good=not waiting,
        words=f"{instrument.symbol}: {len(waiting)} gaps are open, {lost} were given up",
        counts={"open": len(waiting), "given up": lost},
        examples=tuple(
            f"{reason} {channel or ''} {since:%Y-%m-%d %H:%M:%S}: {verdict or 'not looked at yet'}"
            for _, reason, channel, since, verdict in waiting[:EXAMPLES]
        ),
    )


def contiguous(connection: Connection, instrument: Listed, day: date) -> Verdict:
    """No number is missing inside the day or beside it, and each that is held has its row."""
    stretches = _stretches(connection, instrument, day)
    missing = sum(one.missing + max(one.before or 0, 0) + max(one.after or 0, 0) for one in stretches)
    lost = sum(max(one.held - one.numbers, 0) for one in stretches if one.numbers is not None)
    unknown = sum(max(one.numbers - one.held, 0) for one in stretches if one.numbers is not None)
    return Verdict(
        good=not (missing or lost or unknown),
        words=f"{instrument.symbol}: {missing} numbers missing, {lost} held without a row, "
        f"{unknown} rows that nobody holds",
        counts={
            "held": sum(one.held for one in stretches),
            "missing": missing,
            "without a row": lost,
            "not in coverage": unknown,
        },
        examples=tuple(f"{one.channel}: {one.holes}" for one in stretches if one.holes),
    )


def no_duplicates(connection: Connection, instrument: Listed, day: date) -> Verdict:
    """No number of a trade is in the table twice, at another time or on another day."""
    repeated = repeated_numbers(connection, instrument.instrument_id, day)
    stretches = _stretches(connection, instrument, day)
    rows = sum(_more_rows(one) for one in stretches)
    across = sum(one.overlaps for one in stretches)
    return Verdict(
        good=not (repeated or across),
        words=f"{instrument.symbol}: {rows} trades are held twice" + (", some on two days" if across else ""),
        counts={"duplicates": rows},
        examples=tuple(f"number {number}: {count} rows" for number, count in repeated),
    )


def _stretches(connection: Connection, instrument: Listed, day: date) -> list[Stretch]:
    """Coverage and rows of one moment: what is stored between two looks would be held by nobody."""
    return in_one_snapshot(connection, lambda: load_stretches(connection, instrument.instrument_id, day))


def _more_rows(one: Stretch) -> int:
    return 0 if one.rows is None or one.numbers is None else one.rows - one.numbers


def invariants(
    connection: Connection, instrument: Listed, day: date, intervals: Iterable[str] = ("1m",)
) -> Verdict:
    """Each candle can be: low ≤ open, close ≤ high, nothing is negative, and so on."""
    broken = broken_rules(connection, instrument.instrument_id, day, list(intervals))
    return Verdict(
        good=not broken,
        words=f"{instrument.symbol}: {_some(len(broken))} candles break a rule",
        counts={"broken": len(broken)},
        examples=tuple(
            f"{interval} {open_time:%H:%M} ({source}): {rule}" for interval, open_time, source, rule in broken
        ),
    )


def made_of_trades(connection: Connection, instrument: Listed, day: date, *, now: int) -> Verdict:
    """Each of our minutes that is over is what its trades make, in every field."""
    if not has_trades(connection, day):
        return Verdict(good=True, words=f"{instrument.symbol}: trades of the day are no longer kept")
    key = instrument.instrument_id
    stored, computed = in_one_snapshot(
        connection, lambda: (_stored(connection, key, day), _compute(connection, key, day))
    )
    over = {opening for opening in computed if opening + MINUTE + LATENESS <= now}
    wrong: dict[int, str] = {}
    for opening in sorted(over | stored.keys()):
        if words := _differs(stored.get(opening), computed.get(opening)):
            wrong[opening] = words
    return Verdict(
        good=not wrong,
        words=f"{instrument.symbol}: {len(wrong)} of {len(over | stored.keys())} minutes "
        "are not what their trades make",
        counts={"minutes": len(over | stored.keys()), "wrong": len(wrong)},
        examples=tuple(f"{moment(at):%H:%M} {words}" for at, words in list(wrong.items())[:EXAMPLES]),
    )


def agrees(connection: Connection, instrument: Listed, day: date) -> Verdict:
    """No difference to the exchange's own candles is open; compared anew, from what is held."""
    counts = compare_stored(connection, instrument, day).counts
    examples = stored_differences(connection, instrument.instrument_id, day, Class.OPEN, EXAMPLES)
    return Verdict(
        good=not counts.open,
        words=f"{instrument.symbol}: {counts.open} of {counts.compared} minutes differ from the exchange's "
        f"own and nobody knows why, {counts.explained} are explained",
        counts=msgspec.structs.asdict(counts),
        examples=tuple(
            f"{one.open_time:%H:%M} {one.field}: ours {one.ours}, theirs {one.theirs}" for one in examples
        ),
    )


def _compute(connection: Connection, instrument_id: int, day: date) -> dict[int, Computed]:
    unit, channel = load_unit(connection, instrument_id), counting_channel(connection, instrument_id)
    minutes = compute_day(connection, instrument_id, day, unit, channel).minutes
    return {one.bar.open_time: one for one in minutes}


def _stored(connection: Connection, instrument_id: int, day: date) -> dict[int, Stored]:
    candles = load_candles(connection, instrument_id, day, "1m")
    return {one.open_time: one for one in candles if one.source == "trade"}


def _differs(stored: Stored | None, computed: Computed | None) -> str:
    """Prices of a minute that no trade gave one are the close before it: invariants judge those."""
    if stored is None:
        return "has trades and no candle"
    if computed is None:
        return f"has {stored.trades} trades and the table none" if stored.trades else ""
    bar = computed.bar
    names = FIELDS if bar.priced else [name for name in FIELDS if name not in PRICES]
    return ", ".join(
        f"{name} {getattr(stored, name)} instead of {getattr(bar, name)}"
        for name in names
        if getattr(stored, name) != getattr(bar, name)
    )


def _some(count: int) -> str:
    return f"{EXAMPLES} or more" if count >= EXAMPLES else str(count)
