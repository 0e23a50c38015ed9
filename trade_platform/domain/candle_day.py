"""The rows of one day's minutes: those with trades, those that are proven empty, and what price each has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from trade_platform.domain.completeness import ClosedKline, is_empty
from trade_platform.domain.model import DAY, MINUTE
from trade_platform.domain.ohlc import Bar, filled, filler


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A minute with trades, and what is known of it."""

    bar: Bar
    complete: bool
    follows: bool
    """The trade before its first is held: the minutes without trades before it are empty."""
    event_time: int
    receive_time: int
    first_received: int
    """When its first trade came, which proves the silence before it."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A minute as it is stored."""

    bar: Bar
    complete: bool
    blocks_only: bool
    """Its trades gave no price: it has the close of the minute before."""
    event_time: int | None
    receive_time: int


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a day beside its trades."""

    close: Decimal | None
    """Of the last minute with trades before the day."""
    after: Judged | None
    """The first minute with trades after the day."""
    empty: Mapping[int, tuple[ClosedKline, int]]
    """The exchange's closed candles without trades, by minute, and when each came."""
    fillers: Mapping[int, Decimal | None]
    """Closes of the stored rows without trades, by minute."""


def rows_of_day(start: int, judged: Sequence[Judged], around: Around, *, now: int) -> Iterator[Row]:
    """Rows of the UTC day that begins at ``start`` (microseconds), ascending; none of a running minute.

    A minute that nothing proves empty has no row. A filler that only the exchange's candle proves stays
    as it is stored where its price is right.
    """
    end, at, close = start + DAY, start, around.close
    for one in (*judged, around.after):
        until = one.bar.open_time if one else end
        if close is not None:
            for minute in range(at, min(until, end, now - MINUTE + 1), MINUTE):
                row = _filler(minute, close, one, around)
                if row is not None:
                    yield row
        if one is None or until >= end:
            return
        bar = one.bar if close is None else filled(one.bar, close)
        at, close = until + MINUTE, bar.close
        if at <= now:
            yield Row(
                bar=bar,
                complete=one.complete,
                blocks_only=not one.bar.priced,
                event_time=one.event_time,
                receive_time=one.receive_time,
            )


def _filler(minute: int, close: Decimal, following: Judged | None, around: Around) -> Row | None:
    if following is not None and following.follows:
        return _row(minute, close, following.first_received)
    kline, received = around.empty.get(minute, (None, 0))
    if kline is None or not is_empty(kline, close) or around.fillers.get(minute) == close:
        return None
    return _row(minute, close, received)


def _row(minute: int, close: Decimal, received: int) -> Row:
    bar = filler(close, minute)
    return Row(bar=bar, complete=True, blocks_only=False, event_time=None, receive_time=received)
