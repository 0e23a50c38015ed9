"""The instrument catalogue in numbers: what is listed, by exchange, kind and state, and what is recorded."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.times import moment
from trade_platform.operations.partitions import recorded_instruments

_LISTED: Final = """
SELECT instrument_id, exchange, kind, status, coalesce(expiry <= %s, false) FROM instrument
"""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Instruments of one exchange, kind and state."""

    exchange: str
    kind: str
    status: str
    """The exchange's own word; empty where it told none."""
    listed: int
    recorded: int
    """Of these: with stored trades or minutes."""
    expired: int
    """Of the recorded ones: expired by now, and still holding data."""


def count_instruments(connection: Connection, market_time: int) -> list[Counted]:
    """Sorted by exchange, kind and state."""
    held = {one.instrument_id for one in recorded_instruments(connection)}
    listed: Counter[tuple[str, str, str]] = Counter()
    recorded: Counter[tuple[str, str, str]] = Counter()
    expired: Counter[tuple[str, str, str]] = Counter()
    for instrument_id, exchange, kind, status, over in connection.execute(_LISTED, (moment(market_time),)):
        group = exchange, kind, status
        listed[group] += 1
        if instrument_id in held:
            recorded[group] += 1
            expired[group] += bool(over)
    return [
        Counted(
            exchange=group[0],
            kind=group[1],
            status=group[2],
            listed=listed[group],
            recorded=recorded[group],
            expired=expired[group],
        )
        for group in sorted(listed)
    ]
