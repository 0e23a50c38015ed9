"""Control totals of a day: the exchange's own minutes are fetched where none are held, and compared.

What is read goes over the bus: processors stay the only writers of candles. Here only the comparison is
written. Progress is what is stored: repeated at any time, it asks for what is still missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.control_evidence import load_evidence
from trade_platform.adapters.database.control_totals import (
    DayCounts,
    absent_minutes,
    asked_until,
    count_minutes,
    find_differences,
    keep,
    lock_day,
    not_held,
)
from trade_platform.adapters.database.times import EPOCH
from trade_platform.domain.control import NO_EVIDENCE, ROW, Class, Judgement, Pair, judge, rules_of
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE
from trade_platform.operations.desk import Desk
from trade_platform.operations.partitions import Listed
from trade_platform.operations.reading_again import CandlesAgain, NoAnswer, Refused

GRACE: Final = 5 * MICROSECONDS
"""An exchange may still correct a minute that has just ended."""


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


async def compare_day(desk: Desk, instrument: Listed, day: date) -> Comparison:
    """Fetch what is not held of the day's minutes that are over, and compare.

    Raises psycopg.Error, RedisError and NotStored; an exchange that is away is said in the outcome.
    """
    until = min(desk.clock.market() - GRACE, _start(day) + DAY) // MINUTE * MINUTE
    missing = await desk.ask(not_held, instrument.instrument_id, day, until)
    unanswered = refused = ""
    counter = desk.counter(instrument.exchange)
    try:
        await _DayAgain(desk, desk.reaches[instrument.exchange], counter).read_minutes(
            instrument.symbol, missing
        )
    except NoAnswer as error:
        unanswered = str(error)
    except Refused as error:
        refused = str(error)
    await counter.stored()
    asked = None if unanswered or refused else until
    outcome = await desk.ask(compare_stored, instrument, day, asked=asked)
    return msgspec.structs.replace(outcome, read=counter.records, unanswered=unanswered, refused=refused)


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


class _DayAgain(CandlesAgain):
    """Minutes of one instrument, asked for by a comparison instead of a gap."""

    async def read_minutes(self, symbol: str, openings: Sequence[int]) -> Ranges:
        """Hand in what the exchange has of them; returns those that it has not. Raises NoAnswer, Refused."""
        return await self._minutes(symbol, openings) if openings else Ranges()


def _start(day: date) -> int:
    return (day - EPOCH.date()).days * DAY
