"""Is a wider candle what its minutes make? Computed from the minutes themselves, not step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, localcontext
from typing import Final, TypeVar

from trade_platform.adapters.database.connection import Connection
from trade_platform.adapters.database.day_checks import EXAMPLES
from trade_platform.adapters.database.snapshot import in_one_snapshot
from trade_platform.adapters.database.stored_minutes import Stored, load_candles, load_waiting
from trade_platform.adapters.database.times import moment
from trade_platform.domain.model import MINUTE
from trade_platform.domain.ohlc import EXACT, INTERVALS
from trade_platform.operations.checks import Verdict
from trade_platform.operations.partitions import Listed

N = TypeVar("N", int, Decimal)

_COMPARED: Final = tuple(name for name in Stored.__struct_fields__ if name not in ("open_time", "source"))


def rolled_up(connection: Connection, instrument: Listed, day: date, interval: str, *, now: int) -> Verdict:
    """Each bucket that is over has its candle, and it is what its minutes make, in every field.

    Buckets of which a minute has just changed wait for the next roll-up, and are not judged.
    """
    key, width = instrument.instrument_id, INTERVALS[interval]
    minutes, stored, waiting = in_one_snapshot(
        connection,
        lambda: (
            load_candles(connection, key, day, "1m"),
            load_candles(connection, key, day, interval),
            {opening - opening % width for opening in load_waiting(connection, key, day)},
        ),
    )
    expected = {
        opening: candle for opening, candle in rolled(minutes, width).items() if opening + width <= now
    }
    held = {(one.open_time, one.source): one for one in stored}
    wrong = {
        opening: words
        for opening in sorted(expected.keys() | {opening for opening, _ in held})
        if opening not in waiting and (words := _differs(expected.get(opening), held, opening))
    }
    return Verdict(
        good=not wrong,
        words=f"{instrument.symbol}: {len(wrong)} of {len(expected)} {interval} candles are not what their "
        "minutes make",
        counts={"candles": len(expected), "wrong": len(wrong), "waiting": len(waiting & expected.keys())},
        examples=tuple(f"{moment(at):%H:%M} {words}" for at, words in list(wrong.items())[:EXAMPLES]),
    )


def rolled(minutes: Sequence[Stored], width: int) -> dict[int, Stored]:
    """One candle a bucket, of our own minutes where it has any, else of the exchange's."""
    buckets: dict[int, list[Stored]] = {}
    for minute in minutes:
        buckets.setdefault(minute.open_time - minute.open_time % width, []).append(minute)
    found = {}
    with localcontext(EXACT):
        for opening, parts in buckets.items():
            own = [part for part in parts if part.source == "trade"]
            found[opening] = _rolled(opening, own or parts, width)
    return found


def _rolled(opening: int, parts: Sequence[Stored], width: int) -> Stored:
    priced = [part for part in parts if part.priced]
    carried = next((part.close for part in parts if part.close is not None), None)
    trades = _sum([part.trades for part in parts])
    return Stored(
        open_time=opening,
        source=parts[0].source,
        open=priced[0].open if priced else carried,
        high=max((part.high for part in priced if part.high is not None), default=carried),
        low=min((part.low for part in priced if part.low is not None), default=carried),
        close=priced[-1].close if priced else carried,
        volume=sum((part.volume for part in parts[1:]), parts[0].volume),
        quote_volume=sum((part.quote_volume for part in parts[1:]), parts[0].quote_volume),
        trades=trades,
        taker_buy_volume=_sum([part.taker_buy_volume for part in parts]),
        taker_buy_quote_volume=_sum([part.taker_buy_quote_volume for part in parts]),
        first_id=min((part.first_id for part in parts if part.first_id is not None), default=None),
        last_id=max((part.last_id for part in parts if part.last_id is not None), default=None),
        complete=len(parts) == width // MINUTE and all(part.complete for part in parts),
        blocks_only=bool(trades) and not priced,
    )


def _sum(values: Iterable[N | None]) -> N | None:
    told = [value for value in values if value is not None]
    return sum(told[1:], told[0]) if told else None


def _differs(expected: Stored | None, held: Mapping[tuple[int, str], Stored], opening: int) -> str:
    if expected is None:
        return "has a candle and no minute, or is not over"
    stored = held.get((opening, expected.source))
    if stored is None:
        return "has minutes and no candle"
    return ", ".join(
        f"{name} {getattr(stored, name)} instead of {getattr(expected, name)}"
        for name in _COMPARED
        if getattr(stored, name) != getattr(expected, name)
    )
