"""Which instruments' past is asked for, and in which of their sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from trade_platform.adapters.database.backfill import Named, instruments_named, recorded_channel
from trade_platform.domain.gaps import TRADES
from trade_platform.operations.desk import Desk
from trade_platform.operations.patient_reading import Target


class Wish(msgspec.Struct, frozen=True):
    """Days of one instrument."""

    target: Target
    days: Sequence[date]


def targets(desk: Desk, found: Iterable[Named]) -> list[Target]:
    """Each in the sequence in which it is recorded, or would be; what has no trades is left out."""
    chosen = []
    for one in found:
        reach = desk.reaches.get(one.exchange)
        if reach is None:
            continue
        possible = [channel for channel in sorted(TRADES) if channel in reach.exchange.channels]
        channel = recorded_channel(desk.connection, one.instrument_id, possible)
        if channel is None:
            wanted = [each for each in possible if desk.recorded(one.exchange, one.symbol, each)]
            channel = reach.exchange.trade_channel(wanted or possible)
        if channel is not None:
            chosen.append(Target(one.instrument_id, one.exchange, one.symbol, channel))
    return chosen


async def find_targets(
    desk: Desk, exchanges: Sequence[str] = (), symbols: Sequence[str] = ()
) -> list[Target]:
    """Those with these symbols; without symbols all of which trades are stored. Raises psycopg.Error."""
    found = await desk.ask(instruments_named, exchanges, symbols)
    return await desk.ask(lambda _: targets(desk, found))
