"""What the tables must hold, given what the exchange printed and what was said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tests.exactly_once.streamer import SYMBOLS, Market
from trade_platform.adapters.database.connection import Connection
from trade_platform.domain.model import ExchangeState, Number

_TRADES = "SELECT sequence FROM trade JOIN instrument USING (instrument_id) WHERE symbol = %s"
_QUOTES = "SELECT value FROM number JOIN metric USING (metric_id) WHERE name = 'best_bid'"
_LETTERS = "SELECT data FROM dead_letter WHERE kind = 'number'"
_OTHER_LETTERS = "SELECT kind, error FROM dead_letter WHERE kind <> 'number'"
_EVENTS = "SELECT scope FROM exchange_state"
_MICROS = "(extract(epoch FROM {}) * 1000000)::bigint"
_GAPS = f"""
SELECT symbol, channel, reason, first_sequence, last_sequence, {_MICROS.format("since")},
       {_MICROS.format("until")}, detail FROM gap
"""
_LISTENED = f"""
SELECT {_MICROS.format("lower(r)")}, {_MICROS.format("upper(r)")} FROM time_coverage, unnest(held) AS r
WHERE channel = 'quote'
"""


class Said:
    """By the exchange and by the streamer."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.quotes: list[int] = []
        self.refused: list[int] = []
        self.events: list[ExchangeState] = []
        self.forgiven: set[int] = set()
        """Events that a kill took before they were on disk or on the bus."""


def judge(connection: Connection, said: Said) -> None:
    """Asserts; the tables as they are now."""
    gaps = connection.execute(_GAPS).fetchall()
    for symbol in SYMBOLS:
        stored = _once([row[0] for row in connection.execute(_TRADES, (symbol,))], f"trades of {symbol}")
        printed = {one.sequence: one for one in said.market.trades[symbol]}
        assert stored <= printed.keys()
        for sequence in printed.keys() - stored:
            named = any(_names(gap, symbol, sequence) for gap in gaps)
            assert named, f"{symbol} {sequence} is missing and no gap names it: {gaps}"
    quotes = _once([int(row[0]) for row in connection.execute(_QUOTES)], "quotes")
    _told(set(said.quotes), quotes, gaps, "quote")
    _unclaimed(connection, set(said.quotes) - quotes)
    letters = [
        msgspec.json.decode(row[0], type=list[Number])[0].event_time for row in connection.execute(_LETTERS)
    ]
    _told(set(said.refused), _once(letters, "dead letters"), gaps, "quote")
    assert connection.execute(_OTHER_LETTERS).fetchall() == []
    events = _once([int(row[0]) for row in connection.execute(_EVENTS)], "events")
    for number in set(range(1, len(said.events) + 1)) - events:
        at = said.events[number - 1].event_time
        assert number in said.forgiven, f"event {number} is lost: {gaps}"
        assert any(_spans(gap, at) for gap in gaps), f"event {number} is lost, and no gap says so: {gaps}"


def _once(found: list[int], what: str) -> set[int]:
    twice = [one for one, count in Counter(found).items() if count > 1]
    assert not twice, f"{what} stored twice: {twice}"
    return set(found)


def _told(said: set[int], stored: set[int], gaps: list[Any], channel: str) -> None:
    assert stored <= said
    for at in said - stored:
        told = any(_spans(gap, at) and gap[1] in (None, channel) for gap in gaps)
        assert told, f"the {channel} of {at} is missing, and no gap says so: {gaps}"


def _unclaimed(connection: Connection, missing: set[int]) -> None:
    for low, high in connection.execute(_LISTENED).fetchall():
        claimed = [at for at in missing if low <= at < high]
        assert not claimed, f"{claimed} are missing, and were said to be covered"


def _names(gap: Any, symbol: str, sequence: int) -> bool:
    return gap[0] == symbol and gap[1] == "trade" and gap[3] is not None and gap[3] <= sequence <= gap[4]


def _spans(gap: Any, at: int) -> bool:
    return gap[5] <= at and (gap[6] is None or at < gap[6])
