"""A few lines over time, each named where it ends: lag, rate and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from trade_platform.domain.model import MICROSECONDS
from trade_platform.pictures.style import (
    SERIES,
    SOFT,
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

APART: Final = 0.085
"""Names of two lines stand so far apart at least, of the axis' height."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One series; a None breaks the line."""

    name: str
    times: Sequence[int]
    """Microseconds UTC, ascending."""
    values: Sequence[float | None]


def lines(
    series: Sequence[Line], start: int, end: int, *, title: str, source: str, unit: str, kind: Format = "png"
) -> bytes:
    """Lines over [start, end), microseconds UTC. Raises ValueError with more of them than colours."""
    return encoded(lines_figure(series, start, end, title=title, source=source, unit=unit), kind)


def lines_figure(
    series: Sequence[Line], start: int, end: int, *, title: str, source: str, unit: str
) -> Figure:
    """The same, not yet encoded."""
    if len(series) > len(SERIES):
        raise ValueError(f"a picture tells {len(SERIES)} lines apart, not {len(series)}")
    with look():
        figure = paper(10.4, 3.3)
        axes = figure.add_axes((0.055, 0.14, 0.735, 0.62))
        headline(figure, title, "   ·   ".join((span_in_words(start, end), source, unit)), top=0.95)
        for line, colour in zip(series, SERIES, strict=False):
            _draw(axes, line, colour, start)
        _scale(axes, series)
        time_axis(axes, start, end, most=9)
        _name(axes, series)
    return figure


def _draw(axes: Axes, line: Line, colour: str, start: int) -> None:
    times = [(at - start) / MICROSECONDS for at in line.times]
    values = [float("nan") if value is None else value for value in line.values]
    alone = len(_known(line)) == 1
    axes.plot(
        times, values, color=colour, linewidth=1.4, label=line.name, marker="o" if alone else None,
        markersize=3.5, solid_joinstyle="round",
    )  # fmt: skip


def _scale(axes: Axes, series: Sequence[Line]) -> None:
    """From zero, unless something is below it."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 - only who draws pays for it

    known = [value for line in series for value in _known(line)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    high = max(high, 0.0)
    room = (high - min(low, 0.0)) or 1.0
    axes.set_ylim(low - room * 0.06 if low < 0 else 0.0, high + room * 0.08)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value) if value else "0"))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if not known:
        axes.text(0.5, 0.5, "nothing was received", transform=axes.transAxes, color=SOFT, ha="center")


def _name(axes: Axes, series: Sequence[Line]) -> None:
    """At the right, as high as the line ends, and never one over another."""
    low, high = axes.get_ylim()
    ends = [
        ((known[-1] - low) / (high - low), line, colour, known[-1])
        for line, colour in zip(series, SERIES, strict=False)
        if (known := _known(line))
    ]
    at = -APART
    for height, line, colour, value in sorted(ends, key=lambda one: (one[0], one[1].name)):
        at = max(at + APART, height)
        axes.annotate(
            f"{line.name}  {short(value)}", (1.0, at), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", color=colour, va="center", size=8.5, weight="bold",
        )  # fmt: skip


def _known(line: Line) -> list[float]:
    return [value for value in line.values if value is not None]
