"""Control totals of a day: the exchange's own minutes are fetched where none are held, and compared.

What is read goes over the bus: processors stay the only writers of candles. Here only the comparison is
written. Progress is what is stored: repeated at any time, it asks for what is still missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from trade_platform.adapters.database.control_totals import not_held
from trade_platform.adapters.database.times import EPOCH
from trade_platform.domain.coverage import Ranges
from trade_platform.domain.model import DAY, MICROSECONDS, MINUTE
from trade_platform.operations.comparing import Comparison, compare_stored
from trade_platform.operations.desk import Desk
from trade_platform.operations.partitions import Listed
from trade_platform.operations.reading_again import CandlesAgain, NoAnswer, Refused

GRACE: Final = 5 * MICROSECONDS
"""An exchange may still correct a minute that has just ended."""


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


class _DayAgain(CandlesAgain):
    """Minutes of one instrument, asked for by a comparison instead of a gap."""

    async def read_minutes(self, symbol: str, openings: Sequence[int]) -> Ranges:
        """Hand in what the exchange has of them; returns those that it has not. Raises NoAnswer, Refused."""
        return await self._minutes(symbol, openings) if openings else Ranges()


def _start(day: date) -> int:
    return (day - EPOCH.date()).days * DAY
