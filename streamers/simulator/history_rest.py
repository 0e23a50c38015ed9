"""``GET /simulator/history``: what an exchange printed on one day, told as counts and a checksum.

An oracle for days that are in no ledger: whoever holds a day can count and sum his own rows and compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile

import msgspec

from streamers.simulator.floor import Floor
from streamers.simulator.past import DAY_MS
from streamers.simulator.source import Source
from streamers.simulator.tape import Print

PATH = "/simulator/history"


class Unanswerable(Exception):
    """The question names no instrument or no day; the message is for the one who asks."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The prints of one kind of one day."""

    count: int
    first: int | None
    """Sequences; None where nothing was printed."""
    last: int | None
    checksum: str
    """SHA-256 over a line for each print, ascending: ``sequence,price,quantity,side,microseconds``."""


class DayTold(msgspec.Struct, frozen=True, kw_only=True):
    """One day of one instrument."""

    exchange: str
    symbol: str
    day: str
    over: bool
    """The day has ended: what is told will not change any more."""
    channels: dict[str, Told]
    """By the ledger's words: trade, aggregate_trade."""


def history_of(source: Source, query: Mapping[str, str]) -> DayTold:
    """Answer one request; raises Unanswerable. A long day takes a moment: ask in a thread."""
    symbol, text = query.get("symbol", ""), query.get("day", "")
    if symbol not in source.instruments():
        raise Unanswerable(
            f"{source.exchange} lists no {symbol or 'instrument without a name'}: say symbol=…"
        )
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Unanswerable(f"{text!r} is no day: say day=2026-11-22") from None
    begin = int(day.timestamp()) * 1000
    channels = source.channels if isinstance(source, Floor) else ("trade",)
    return DayTold(
        exchange=source.exchange,
        symbol=symbol,
        day=text,
        over=source.now // 1000 >= begin + DAY_MS,
        channels={channel: tell(_prints(source, symbol, channel, begin)) for channel in channels},
    )


def tell(prints: Iterable[Print]) -> Told:
    """Count and sum; decimals are summed without the zeros behind, so that any way to write them agrees."""
    digest, count, first, last = hashlib.sha256(), 0, None, None
    for one in prints:
        count, last = count + 1, one.sequence
        first = one.sequence if first is None else first
        digest.update(_line(one).encode())
    return Told(count=count, first=first, last=last, checksum=digest.hexdigest())


def _line(one: Print) -> str:
    side = "buy" if one.buy else "sell"
    return f"{one.sequence},{_short(one.price)},{_short(one.quantity)},{side},{one.time * 1000}\n"


def _short(text: str) -> str:
    return f"{Decimal(text).normalize():f}"


def _prints(source: Source, symbol: str, channel: str, begin: int) -> Iterable[Print]:
    log = source.tape.log(symbol, channel)
    return takewhile(lambda one: one.time < begin + DAY_MS, log.ascending(time=begin))
