"""Candles with their volume; what is not proven complete, and what is not there at all, is seen."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from trade_platform.domain.model import MICROSECONDS
from trade_platform.pictures.style import (
    AMBER,
    BLUE,
    HAIR,
    LEFT,
    PAPER,
    SOFT,
    VERMILION,
    Box,
    Format,
    boxes,
    encoded,
    headline,
    legend,
    look,
    paper,
    short,
    time_axis,
)
from trade_platform.pictures.ticks import span_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 2000
"""Candles of one chart: beyond it a wider interval tells more."""
HOLLOW: Final = 150
"""Up to so many candles the rising ones are hollow, which is seen in grey, too."""
BODY: Final = 0.68
"""Width of a body, of its bucket."""
ABSENT: Final = "/////"


class Candlestick(msgspec.Struct, frozen=True):
    """What a chart shows of one bucket."""

    open_time: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    complete: bool

    @property
    def priced(self) -> bool:
        return None not in (self.open, self.high, self.low, self.close)


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above a chart."""

    exchange: str
    symbol: str
    interval: str
    width: int
    """Of a bucket, microseconds."""
    source: str
    """``made of trades``, ``as the exchange reports them``."""
    unit: str = ""
    """Currency of the volume."""


def candle_chart(
    candles: Sequence[Candlestick],
    heading: Heading,
    *,
    start: int | None = None,
    end: int | None = None,
    kind: Format = "png",
) -> bytes:
    """The chart of [start, end), microseconds UTC; without them: from the first candle to the last.

    Raises ValueError without any candle, and with more than ``MOST`` of them.
    """
    return encoded(candle_figure(candles, heading, start=start, end=end), kind)


def candle_figure(
    candles: Sequence[Candlestick], heading: Heading, *, start: int | None = None, end: int | None = None
) -> Figure:
    """The same, not yet encoded."""
    if not 0 < len(candles) <= MOST:
        raise ValueError(f"a chart shows between 1 and {MOST:,} candles, not {len(candles):,}")
    low = candles[0].open_time if start is None else start
    high = candles[-1].open_time + heading.width if end is None else end
    with look():
        figure = paper(10.4, 5.4)
        price = figure.add_axes((LEFT, 0.315, 0.9, 0.545))
        volume = figure.add_axes((LEFT, 0.085, 0.9, 0.19), sharex=price)
        headline(figure, f"{heading.symbol}  {heading.interval}", _subtitle(candles, heading, low, high))
        wide = _prices(price, candles, heading.width, low)
        _make_room((price, volume), wide)
        _volumes(volume, candles, heading, low)
        legend(figure, _bands((price, volume), candles, heading.width, low, high), right=0.98)
        time_axis(volume, low, high)
        price.tick_params(labelbottom=False, length=0)
        price.spines["bottom"].set_visible(False)
    return figure


def _make_room(panels: Sequence[Axes], characters: int) -> None:
    """At the right, for the scale of prices."""
    for axes in panels:
        _, below, _, height = axes.get_position().bounds
        axes.set_position((LEFT, below, 1 - LEFT - 0.02 - 0.0068 * max(characters, 6), height))


def _subtitle(candles: Sequence[Candlestick], heading: Heading, low: int, high: int) -> str:
    parts = [heading.exchange, span_in_words(low, high), heading.source]
    incomplete = sum(not candle.complete for candle in candles)
    parts.append(
        f"{len(candles):,} candles" + (f", {incomplete:,} not proven complete" if incomplete else "")
    )
    return "   ·   ".join(parts)


def _prices(axes: Axes, candles: Sequence[Candlestick], width: int, start: int) -> int:
    """Returns how many characters the widest mark of the scale has."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - only who draws pays for it

    axes.set_label("prices")
    axes.yaxis.tick_right()
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    priced = [candle for candle in candles if candle.priced]
    if not priced:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no price", transform=axes.transAxes, color=SOFT, ha="center")
        return 0
    low, high = _range(priced)
    axes.set_ylim(low, high)
    for rising in (True, False):
        own = [one for one in priced if (_float(one.close) >= _float(one.open)) is rising]
        _candles(axes, own, width, start, rising=rising, hollow=rising and len(candles) <= HOLLOW)
    locator = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
    marks = locator.tick_values(low, high)
    decimals = _decimals(marks[1] - marks[0])
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{decimals}f}"))
    last = price_label(priced[-1].close, decimals)
    _last(axes, priced[-1], last)
    return max(len(last), *(len(f"{mark:,.{decimals}f}") for mark in (low, high)))


def price_label(price: Decimal | None, decimals: int) -> str:
    """Its own digits without padding, but not many more than the scale beside it has."""
    text = f"{price:,f}"
    if "." not in text:
        return text
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    if len(part) > decimals + 2:
        return f"{price:,.{decimals + 2}f}"
    return f"{whole}.{part}" if part else whole


def _candles(
    axes: Axes, own: Sequence[Candlestick], width: int, start: int, *, rising: bool, hollow: bool
) -> None:
    """Wicks in two parts, so that a hollow body stays empty."""
    colour = BLUE if rising else VERMILION
    step = width / MICROSECONDS
    thin = 0.9 if len(own) <= HOLLOW else 0.6
    middles = [_seconds(one, start) + step / 2 for one in own]
    tops = [max(_float(one.open), _float(one.close)) for one in own]
    bottoms = [min(_float(one.open), _float(one.close)) for one in own]
    axes.vlines(middles, tops, [_float(one.high) for one in own], colors=colour, linewidth=thin)
    axes.vlines(middles, [_float(one.low) for one in own], bottoms, colors=colour, linewidth=thin)
    half = step * BODY / 2
    bodies = [
        Box(middle - half, middle + half, bottom, top)
        for middle, bottom, top in zip(middles, bottoms, tops, strict=True)
    ]
    name = "rising" if rising else "falling"
    boxes(axes, bodies, face=PAPER if hollow else colour, edge=colour, linewidth=thin, label=name)


ROOMY: Final = 9
"""Signs of a price that fit beside the picture in the usual size."""


def _last(axes: Axes, candle: Candlestick, words: str) -> None:
    """The newest close, on the scale of prices."""
    close = _float(candle.close)
    colour = BLUE if close >= _float(candle.open) else VERMILION
    axes.axhline(close, color=colour, linewidth=0.6, linestyle=(0, (2, 3)), zorder=0.5)
    axes.annotate(
        words,
        (1.0, close),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        size=8.5 if len(words) < ROOMY else 7.2,
        color=PAPER,
        weight="bold",
        bbox={"boxstyle": "square,pad=0.25", "facecolor": colour, "edgecolor": "none"},
        annotation_clip=False,
    )


def _volumes(axes: Axes, candles: Sequence[Candlestick], heading: Heading, start: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    axes.set_label("volumes")
    axes.yaxis.tick_right()
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    step = heading.width / MICROSECONDS
    half = step * BODY / 2
    for rising, colour in ((True, BLUE), (False, VERMILION)):
        own = [one for one in candles if _rises(one) is rising and one.volume]
        bars = [
            Box(middle - half, middle + half, 0, float(one.volume))
            for one in own
            for middle in (_seconds(one, start) + step / 2,)
        ]
        boxes(axes, bars, face=colour, alpha=0.55)
    axes.set_ylim(0, max((float(one.volume) for one in candles), default=0) * 1.12 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value) if value else ""))
    words = f"volume, {heading.unit}" if heading.unit else "volume"
    axes.text(
        *(0.004, 0.97), words, transform=axes.transAxes, size=8, color=SOFT, va="top", bbox={
            "facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1.5
        },
    )  # fmt: skip


def _bands(
    panels: Sequence[Axes], candles: Sequence[Candlestick], width: int, low: int, high: int
) -> list[tuple[str, str, str]]:
    """Behind both panels; what they mean is for the legend."""
    held = {candle.open_time for candle in candles}
    absent = [at for at in range(low, high, width) if at not in held] if high - low <= MOST * width else []
    incomplete = [candle.open_time for candle in candles if not candle.complete]
    marks = []
    for name, openings, face, hatch in (
        ("not proven complete", incomplete, AMBER, ""),
        ("no candle", absent, PAPER, ABSENT),
    ):
        if not openings:
            continue
        marks.append((name, face, hatch))
        for axes in panels:
            spans = [
                Box((first - low) / MICROSECONDS, (last - low) / MICROSECONDS, 0, 1)
                for first, last in _joined(openings, width)
            ]
            edge = HAIR if hatch else "none"
            shown = axes.get_xaxis_transform()
            boxes(
                axes, spans, face=face, edge=edge, hatch=hatch or None, linewidth=0, zorder=0.2,
                transform=shown, label=name,
            )  # fmt: skip
    return marks


def _joined(openings: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Neighbouring buckets as one span."""
    spans: list[tuple[int, int]] = []
    for at in openings:
        if spans and spans[-1][1] == at:
            spans[-1] = (spans[-1][0], at + width)
        else:
            spans.append((at, at + width))
    return spans


def _range(priced: Sequence[Candlestick]) -> tuple[float, float]:
    low = min(_float(one.low) for one in priced)
    high = max(_float(one.high) for one in priced)
    margin = (high - low) * 0.06 or abs(high) * 0.001 or 1.0
    return low - margin, high + margin


def _decimals(step: float) -> int:
    """So many that neighbouring marks differ."""
    return next((n for n in range(12) if abs(round(step, n) - step) < step * 1e-6), 12)


def _rises(candle: Candlestick) -> bool:
    return not candle.priced or _float(candle.close) >= _float(candle.open)


def _seconds(candle: Candlestick, start: int) -> float:
    return (candle.open_time - start) / MICROSECONDS


def _float(price: Decimal | None) -> float:
    return float(price) if price is not None else float("nan")
