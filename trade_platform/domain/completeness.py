"""When is a minute complete? Pure rules over what is held and what the exchange itself says.

Numbers are contiguous per instrument and channel, so a minute whose trades have the numbers
[first, last] is complete when all of [first - 1, last + 1] is held: the number before belongs to an
earlier trade, the number after to a later one, and none can lie between. The exchange's closed candle is
the other proof: it names the first and last raw trade of the minute. Both need every number in between.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_platform.domain.coverage import Ranges


class Minute(msgspec.Struct, frozen=True):
    """What our trades of one minute say of their numbers."""

    first_sequence: int
    last_sequence: int
    first_id: int
    """Raw trades: equal to the sequence unless trades are aggregates."""
    last_id: int


class ClosedKline(msgspec.Struct, frozen=True):
    """What the exchange's own closed candle says of its trades; None where it has no such field."""

    trades: int | None
    first_id: int | None
    last_id: int | None
    close: Decimal | None


def follows(minute: Minute, held: Ranges) -> bool:
    """The trade before the minute's first is held: nothing lies between the two."""
    return minute.first_sequence - 1 in held or minute.first_sequence == 0


def is_complete(minute: Minute, held: Ranges, kline: ClosedKline | None) -> bool:
    """Whether every trade of the minute is proven to be held.

    ``held`` need not reach further than one number before and one after the minute's own.
    """
    if held.missing(minute.first_sequence, minute.last_sequence + 1):
        return False
    after = minute.last_sequence + 1 in held
    return (follows(minute, held) and after) or _names_the_ends(kline, minute)


def is_empty(kline: ClosedKline, previous_close: Decimal | None) -> bool:
    """Whether the exchange says that nothing traded, and its price is the one that we end on.

    A kline without trades repeats the previous close: where it is not ours, we miss trades before it.
    """
    return kline.trades == 0 and previous_close is not None and kline.close == previous_close


def _names_the_ends(kline: ClosedKline | None, minute: Minute) -> bool:
    return (
        kline is not None
        and kline.first_id is not None
        and (kline.first_id, kline.last_id) == (minute.first_id, minute.last_id)
    )
