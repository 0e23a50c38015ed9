"""How much of each hour is proven to be held, instrument by instrument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from trade_platform.domain.model import MICROSECONDS
from trade_platform.pictures.style import (
    INK,
    PAPER,
    SOFT,
    Box,
    Format,
    boxes,
    encoded,
    headline,
    legend,
    look,
    paper,
    time_axis,
)
from trade_platform.pictures.ticks import HOUR, span_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Share: TypeAlias = float | None
"""0 … 1; None where nothing is recorded, or nothing can be said yet."""

MOST: Final = 60
"""Rows of one map."""
WIDTH: Final = 10.4
ROW: Final = 0.235
"""Inches."""
ABOVE: Final = 0.95
BELOW: Final = 0.62
WRITTEN: Final = 30
"""Up to so many hours a cell says its percent."""

ALL: Final = "#c3dbea"
NOTHING: Final = "#a8320c"
UNKNOWN: Final = "#f3f4f6"
RAMP: Final = ((0.90, "#fbe9bd"), (0.50, "#f4bd67"), (0.0, "#de7d2f"))
"""Where not all is held: the least share, and its colour."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument, or one family of them."""

    name: str
    shares: Sequence[Share]
    """Of each hour, in order."""
    total: Share = None
    """Of all of them."""


def heat_map(
    rows: Sequence[Row], start: int, *, title: str = "Coverage", source: str = "", now: int | None = None,
    kind: Format = "png",
) -> bytes:  # fmt: skip
    """Rows of shares of hours from ``start`` (microseconds UTC, on the hour); ``now`` marks a running hour.

    Raises ValueError without rows, with more than ``MOST``, or where they are not equally long.
    """
    return encoded(heat_figure(rows, start, title=title, source=source, now=now), kind)


def heat_figure(
    rows: Sequence[Row], start: int, *, title: str = "Coverage", source: str = "", now: int | None = None
) -> Figure:
    """The same, not yet encoded."""
    hours = len(rows[0].shares) if rows else 0
    if not 0 < len(rows) <= MOST or not hours or any(len(row.shares) != hours for row in rows):
        raise ValueError(f"a map shows 1 to {MOST} rows of equal length, not {len(rows)}")
    end = start + hours * HOUR
    height = ABOVE + BELOW + ROW * len(rows)
    longest = max(len(row.name) for row in rows)
    left = min(0.03 + 0.0067 * longest, 0.34)
    with look():
        figure = paper(WIDTH, height)
        axes = figure.add_axes((left, BELOW / height, 0.93 - left, ROW * len(rows) / height))
        top = 1 - 0.16 / height
        parts = [f"{len(rows)} instruments and families", span_in_words(start, end), source]
        headline(figure, title, "   ·   ".join(filter(None, parts)), left=0.02, top=top)
        legend(figure, _meanings(rows), right=0.985, top=top)
        _cells(axes, rows)
        _names(axes, rows)
        time_axis(axes, start, end, most=14)
        if now is not None and start < now < end:
            _now(axes, (now - start) / MICROSECONDS)
    return figure


def colour_of(share: float) -> str:
    """All, one of three shades of some, or nothing."""
    if share >= 1:
        return ALL
    if share <= 0:
        return NOTHING
    return next(colour for least, colour in RAMP if share >= least)


def percent(share: Share) -> str:
    """Rounded down: 100 means all."""
    if share is None:
        return "–"
    if share >= 1:
        return "100 %"
    tenths = int(share * 1000) / 10
    return f"{tenths:.1f} %" if tenths else "0 %" if share <= 0 else "<0.1 %"


def _cells(axes: Axes, rows: Sequence[Row]) -> None:
    """One artist a colour; between cells the paper shows."""
    width = HOUR / MICROSECONDS
    by_colour: dict[str, list[Box]] = {}
    written = len(rows[0].shares) <= WRITTEN
    for line, row in enumerate(rows):
        for at, share in enumerate(row.shares):
            colour = UNKNOWN if share is None else colour_of(share)
            box = Box(at * width, (at + 1) * width, line - 0.44, line + 0.44)
            by_colour.setdefault(colour, []).append(box)
            if written and share is not None and share < 1:
                ink = PAPER if colour == NOTHING else INK
                words = f"{int(share * 100)}"
                axes.text(
                    (at + 0.5) * width, line, words, size=7, ha="center", va="center_baseline", color=ink
                )
    for colour, cells in by_colour.items():
        boxes(axes, cells, face=colour, edge=PAPER, linewidth=1.2 if written else 0.3, label=colour)
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _names(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_yticks(range(len(rows)), [row.name for row in rows], color=INK)
    axes.spines["bottom"].set_visible(False)
    for line, row in enumerate(rows):
        whole = row.total is None or row.total >= 1
        axes.annotate(
            percent(row.total),
            (1.0, line),
            xycoords=("axes fraction", "data"),
            xytext=(48, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            size=8.5,
            color=SOFT if whole else NOTHING,
            weight="normal" if whole else "bold",
        )


def _now(axes: Axes, at: float) -> None:
    axes.axvline(at, color=INK, linewidth=0.9)
    axes.annotate(
        "now", (at, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
        ha="center", va="bottom", size=7.5,
    )  # fmt: skip


def _meanings(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Only what is seen is explained."""
    seen = {None if share is None else colour_of(share) for row in rows for share in row.shares}
    words = {
        ALL: "all proven",
        RAMP[0][1]: "≥ 90 %",
        RAMP[1][1]: "≥ 50 %",
        RAMP[2][1]: "less",
        NOTHING: "nothing",
        None: "not recorded",
    }
    return [(text, colour or UNKNOWN, "") for colour, text in words.items() if colour in seen]
