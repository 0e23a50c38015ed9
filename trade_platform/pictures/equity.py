"""What accounts are worth over time, above, and what trading alone made of it, below; both in USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trade_platform.domain.model import MICROSECONDS
from trade_platform.domain.statement import Curve
from trade_platform.pictures.lines import Line
from trade_platform.pictures.style import (
    BLUE,
    SERIES,
    SOFT,
    VERMILION,
    Format,
    encoded,
    headline,
    look,
    paper,
    short,
    time_axis,
)
from trade_platform.pictures.ticks import span_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST: Final = 5
"""Accounts that get a line of their own beside the sum."""
LONGEST_NAMES: Final = 60
LONGEST_NAME: Final = 16
APART: Final = 0.1
"""Names of two lines stand so far apart at least, of the axis' height."""
_UPPER: Final = (0.055, 0.46, 0.735, 0.38)
_LOWER: Final = (0.055, 0.10, 0.735, 0.27)


def equity(
    total: Curve, accounts: Mapping[str, Curve], start: int, end: int, *, kind: Format = "png"
) -> bytes:
    """[start, end), microseconds UTC. Single accounts are drawn where there are several, and few."""
    names = ", ".join(accounts)
    figure = equity_figure(
        _line("all" if len(accounts) > 1 else "equity", total.times, total.equity),
        [_line(name, one.times, one.equity) for name, one in accounts.items()],
        _line("profit", total.times, total.profit),
        *(start, end),
        source=names if len(names) <= LONGEST_NAMES else f"{len(accounts)} accounts",
    )
    return encoded(figure, kind)


def _line(name: str, times: Sequence[int], values: Sequence[Decimal | None]) -> Line:
    return Line(name=name, times=times, values=[None if value is None else float(value) for value in values])


def equity_figure(
    total: Line, accounts: Sequence[Line], profit: Line, start: int, end: int, *, source: str
) -> Figure:
    """Lines of dollars, not yet encoded."""
    with look():
        figure = paper(10.4, 4.6)
        headline(
            figure, "Equity and profit", "   ·   ".join((span_in_words(start, end), source, "USD")), top=0.96
        )
        upper, lower = figure.add_axes(_UPPER), figure.add_axes(_LOWER)
        own = list(accounts) if 1 < len(accounts) <= MOST else []
        _draw(upper, [total, *own], [BLUE, *SERIES[2:]], start)
        _scale(upper, [total, *own], nothing="no balance is known of this time")
        _draw(lower, [profit], [VERMILION], start)
        _scale(lower, [profit], nothing="", zero=True)
        _name(upper, [total, *own], [BLUE, *SERIES[2:]], APART)
        _name(lower, [profit], [VERMILION], APART)
        for axes in (upper, lower):
            time_axis(axes, start, end, most=9)
        upper.tick_params(labelbottom=False)
    return figure


def _draw(axes: Axes, series: Sequence[Line], colours: Sequence[str], start: int) -> None:
    for place, (line, colour) in enumerate(zip(series, colours, strict=False)):
        times = [(at - start) / MICROSECONDS for at in line.times]
        values = [float("nan") if value is None else value for value in line.values]
        axes.plot(times, values, color=colour, linewidth=1.6 if not place else 1.0, label=line.name)


def _name(axes: Axes, series: Sequence[Line], colours: Sequence[str], apart: float) -> None:
    """At the right, as high as the line ends, and never one over another."""
    low, high = axes.get_ylim()
    ends = sorted(
        ((known[-1] - low) / (high - low), line.name, colour, known[-1])
        for line, colour in zip(series, colours, strict=False)
        if (known := [value for value in line.values if value is not None])
    )
    at = -apart
    for height, name, colour, value in ends:
        at = max(at + apart, height)
        axes.annotate(
            f"{_shortened(name)}  {short(value)}", (1.0, at), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", color=colour, va="center", size=8.5, weight="bold",
        )  # fmt: skip


def _shortened(name: str) -> str:
    """Beside a line there is little room; whose account it is stands above."""
    own = name.rpartition(".")[2]
    return own if len(own) <= LONGEST_NAME else f"{own[: LONGEST_NAME - 1]}…"


def _scale(axes: Axes, series: Sequence[Line], *, nothing: str, zero: bool = False) -> None:
    """Around what is drawn; with ``zero`` the line between gain and loss is always seen."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - only who draws pays for it

    known = [value for line in series for value in line.values if value is not None]
    known += [0.0] if zero else []
    if known:
        room = (max(known) - min(known)) or abs(max(known)) or 1.0
        axes.set_ylim(min(known) - room * 0.12, max(known) + room * 0.12)
    elif nothing:
        axes.text(0.5, 0.5, nothing, transform=axes.transAxes, color=SOFT, ha="center")
    if zero:
        axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value) if value else "0"))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
