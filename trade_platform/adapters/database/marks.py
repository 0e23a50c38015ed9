"""Marks: which candles changed since the wider ones that hold them were made.

Whoever writes a candle leaves a mark in the same transaction, so a change that is seen has its mark, and
one that is not yet committed keeps its own. Marks are only added and taken, never updated: writers of
candles wait for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trade_platform.adapters.database.connection import Connection

# Of ``changed``; nothing is made of the widest.
MARK: Final = """
INSERT INTO rollup_due (instrument_id, interval, open_time)
SELECT instrument_id, interval, open_time FROM changed WHERE interval IN ('1m', '5m', '15m', '1h', '4h')
"""


def noted(statement: str) -> str:
    """The statement, which writes candles, with a mark for each; its answer is how many."""
    return f"""
WITH changed AS ({statement} RETURNING instrument_id, interval, open_time),
     marked AS ({MARK})
SELECT count(*) FROM changed
"""  # noqa: S608 - statements of our own


def write_noted(connection: Connection, statement: str, parameters: Mapping[str, Any] | Sequence[Any]) -> int:
    """Run what ``noted`` made; returns the candles that it wrote."""
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return int(row[0])
