"""Candles from trades: pure rules, exact arithmetic.

A minute is the bucket [open_time, open_time + 60 s) of the exchange's own clock. Within it trades are
ordered by (event_time, sequence), never by arrival, so that any order of arrival gives the same candle.
``volume`` is in base and ``quote_volume`` in quote currency, whatever the exchange counts in. A block
trade counts as volume and gives no price: a minute without a price of its own has the close of the one
before. Nothing is rounded except one division: where an exchange counts quote currency, a trade's base
volume is quantity / price, rounded half-up to 12 decimals, trade by trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import reduce
from operator import attrgetter
from typing import Final, TypeAlias

import msgspec

from trade_platform.domain.model import DAY, MINUTE, QuantityUnit, Side, Trade, TradeFlag

HOUR: Final = 60 * MINUTE
INTERVALS: Final[Mapping[str, int]] = {
    **{f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * HOUR for n in (1, 2, 4, 6, 8, 12)},
    "1d": DAY,
}
"""Width in microseconds by name; buckets are aligned to the epoch, UTC."""

Moment: TypeAlias = tuple[int, int]
"""(event_time, sequence): the order of trades."""

ZERO: Final = Decimal(0)
EXACT: Final = Context(prec=200, rounding=ROUND_DOWN)
"""Wide enough for every sum and product of prices and quantities to be exact."""
_BASE_STEP: Final = Decimal("1e-12")
_BLOCK: Final = int(TradeFlag.BLOCK)
_moment = attrgetter("event_time", "sequence")


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of trades. ``merge`` makes it from parts in any order and grouping."""

    open_time: int
    open: Decimal | None = None
    """All four prices are None where no trade gave one; ``filled`` then sets the previous close."""
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal = ZERO
    """Base currency."""
    quote_volume: Decimal = ZERO
    trades: int = 0
    """Fills: an aggregate counts last_id - first_id + 1."""
    taker_buy_volume: Decimal = ZERO
    taker_buy_quote_volume: Decimal = ZERO
    first_id: int | None = None
    last_id: int | None = None
    first_sequence: int | None = None
    last_sequence: int | None = None
    opened: Moment | None = None
    """Which trade gave the open; None where no trade of the bucket gave a price."""
    closed: Moment | None = None

    @property
    def priced(self) -> bool:
        """Whether a trade of the bucket itself gave the prices."""
        return self.opened is not None


def minute_of(event_time: int) -> int:
    """Opening of the minute that holds this time."""
    return event_time - event_time % MINUTE


def volumes_of(price: Decimal, quantity: Decimal, unit: QuantityUnit) -> tuple[Decimal, Decimal]:
    """(base, quote) volume of a trade.

    A spread of inverse futures may trade at zero or below, where quantity / price means nothing: its base
    volume is 0.
    """
    if unit is QuantityUnit.BASE:
        return quantity, EXACT.multiply(price, quantity)
    if price <= 0:
        return ZERO, quantity
    # The quotient is cut, not rounded, before its one rounding: rounding twice could carry twice.
    quotient = EXACT.divide(quantity, price)
    return quotient.quantize(_BASE_STEP, rounding=ROUND_HALF_UP, context=EXACT), quantity


def bar_of(trade: Trade, unit: QuantityUnit) -> Bar:
    """The bar of one trade alone."""
    return _minute([trade], unit)


def bars_of(trades: Iterable[Trade], unit: QuantityUnit) -> list[Bar]:
    """One bar per minute with trades, ascending. One instrument's trades, in any order, repeated or not."""
    minutes: dict[int, dict[Moment, Trade]] = {}
    for trade in trades:
        event_time = trade.event_time
        minute = minutes.setdefault(event_time - event_time % MINUTE, {})
        minute[event_time, trade.sequence] = trade
    return [_minute(list(minutes[open_time].values()), unit) for open_time in sorted(minutes)]


def merge(a: Bar, b: Bar) -> Bar:
    """The bar of both parts' trades. The parts are of one bucket and share no trade."""
    if a.open_time != b.open_time:
        raise ValueError(f"bars of two buckets: {a.open_time} and {b.open_time}")
    parts = [part for part in (a, b) if part.priced]
    first = min(parts, key=attrgetter("opened"), default=None)
    last = max(parts, key=attrgetter("closed"), default=None)
    return Bar(
        open_time=a.open_time,
        open=first.open if first else None,
        high=max((part.high for part in parts if part.high is not None), default=None),
        low=min((part.low for part in parts if part.low is not None), default=None),
        close=last.close if last else None,
        volume=EXACT.add(a.volume, b.volume),
        quote_volume=EXACT.add(a.quote_volume, b.quote_volume),
        trades=a.trades + b.trades,
        taker_buy_volume=EXACT.add(a.taker_buy_volume, b.taker_buy_volume),
        taker_buy_quote_volume=EXACT.add(a.taker_buy_quote_volume, b.taker_buy_quote_volume),
        first_id=_lower(a.first_id, b.first_id),
        last_id=_higher(a.last_id, b.last_id),
        first_sequence=_lower(a.first_sequence, b.first_sequence),
        last_sequence=_higher(a.last_sequence, b.last_sequence),
        opened=first.opened if first else None,
        closed=last.closed if last else None,
    )


def rollup(bars: Iterable[Bar], width: int) -> list[Bar]:
    """Bars of a wider bucket (microseconds, a multiple of theirs), ascending.

    What has no trades adds nothing: a filler's prices count only where its whole bucket has none.
    """
    buckets: dict[int, list[Bar]] = {}
    for bar in sorted(bars, key=attrgetter("open_time")):
        buckets.setdefault(bar.open_time - bar.open_time % width, []).append(bar)
    return [_widened(open_time, parts) for open_time, parts in buckets.items()]


def filled(bar: Bar, previous_close: Decimal) -> Bar:
    """The bar itself where trades priced it, else with the previous close for all four prices."""
    if bar.priced:
        return bar
    return msgspec.structs.replace(
        bar, open=previous_close, high=previous_close, low=previous_close, close=previous_close
    )


def filler(previous_close: Decimal, open_time: int) -> Bar:
    """The bar of a minute without trades."""
    return filled(Bar(open_time=open_time), previous_close)


def continuous(
    bars: Iterable[Bar], start: int, end: int, previous_close: Decimal | None = None
) -> Iterator[Bar]:
    """Every minute of [start, end), fillers included; nothing before the first known price.

    Start and end are openings of minutes.
    """
    held = {bar.open_time: bar for bar in bars}
    for open_time in range(start, end, MINUTE):
        bar = held.get(open_time, Bar(open_time=open_time))
        if previous_close is not None:
            bar = filled(bar, previous_close)
        if bar.close is not None:
            previous_close = bar.close
        if bar.close is not None or bar.trades:
            yield bar


def truncate(value: Decimal, decimals: int) -> Decimal:
    """Cut to so many decimals, as Binance does with quote volume; never rounds."""
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN, context=EXACT)


def _minute(trades: list[Trade], unit: QuantityUnit) -> Bar:
    trades.sort(key=_moment)
    priced = [trade for trade in trades if not trade.flags & _BLOCK]
    prices = [trade.price for trade in priced]
    volumes = [volumes_of(trade.price, trade.quantity, unit) for trade in trades]
    bought = [pair for pair, trade in zip(volumes, trades, strict=True) if trade.side is Side.BUY]
    with localcontext(EXACT):
        volume, quote_volume = sum((pair[0] for pair in volumes), ZERO), sum((p[1] for p in volumes), ZERO)
        taker_volume, taker_quote = sum((pair[0] for pair in bought), ZERO), sum((p[1] for p in bought), ZERO)
    return Bar(
        open_time=minute_of(trades[0].event_time),
        open=prices[0] if prices else None,
        high=max(prices, default=None),
        low=min(prices, default=None),
        close=prices[-1] if prices else None,
        volume=volume,
        quote_volume=quote_volume,
        trades=sum(trade.last_id - trade.first_id + 1 for trade in trades),
        taker_buy_volume=taker_volume,
        taker_buy_quote_volume=taker_quote,
        first_id=min(trade.first_id for trade in trades),
        last_id=max(trade.last_id for trade in trades),
        first_sequence=min(trade.sequence for trade in trades),
        last_sequence=max(trade.sequence for trade in trades),
        opened=_moment(priced[0]) if priced else None,
        closed=_moment(priced[-1]) if priced else None,
    )


def _widened(open_time: int, parts: list[Bar]) -> Bar:
    merged = reduce(merge, (msgspec.structs.replace(part, open_time=open_time) for part in parts))
    previous_close = next((part.close for part in parts if part.close is not None), None)
    return merged if previous_close is None else filled(merged, previous_close)


def _lower(a: int | None, b: int | None) -> int | None:
    return min((number for number in (a, b) if number is not None), default=None)


def _higher(a: int | None, b: int | None) -> int | None:
    return max((number for number in (a, b) if number is not None), default=None)
