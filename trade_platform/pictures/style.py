"""One look for all pictures: the paper, the words above it, the axis of time, the colours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from trade_platform.domain.model import MICROSECONDS
from trade_platform.pictures.ticks import ticks_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format: TypeAlias = Literal["png", "svg"]

INK: Final = "#22272e"
SOFT: Final = "#6b7280"
HAIR: Final = "#e3e6ea"
PAPER: Final = "#ffffff"
BLUE: Final = "#1f6fa8"
VERMILION: Final = "#d1521b"
AMBER: Final = "#fae8b8"
SERIES: Final = (BLUE, VERMILION, "#16876b", "#9a6fb0", "#b8860b", "#4b5563", "#56a8d8", "#c2648f")
"""After Okabe and Ito, a little darker on white: told apart by whoever sees two colours less."""
LEFT: Final = 0.032
"""Where the words above and the panels below begin, of the width."""
DOTS_PER_INCH: Final = 98
"""10.4 inches are 1019 dots: so wide is the window in which Dagster's page shows a picture."""
PALETTE: Final = 96
"""Colours that a picture keeps: enough for text with soft edges, and a third of the bytes."""

_LOOK: Final[dict[Any, Any]] = {
    "axes.edgecolor": HAIR,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "figure.facecolor": PAPER,
    "grid.color": HAIR,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.5,
    "svg.hashsalt": "trade_platform",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "xtick.major.width": 0.8,
}


class Box(msgspec.Struct, frozen=True):
    """A rectangle in the axes' own units."""

    left: float
    right: float
    low: float
    high: float


@contextmanager
def look() -> Iterator[None]:
    """Within it figures have the common look; whatever a program set before comes back after it."""
    import matplotlib as mpl  # noqa: PLC0415 - a run that draws nothing does not pay for it

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        yield


def paper(width: float, height: float) -> Figure:
    """A figure of so many inches that belongs to nobody: it goes when it is no longer named."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def encoded(figure: Figure, kind: Format = "png") -> bytes:
    """The picture's bytes: nothing in them says when, or by which version, it was drawn."""
    out = io.BytesIO()
    with look():
        if kind == "svg":
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
            return out.getvalue()
        figure.savefig(out, format="png")
    return _smaller(out)


def _smaller(png: io.BytesIO) -> bytes:
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib

    png.seek(0)
    out = io.BytesIO()
    with Image.open(png) as image:
        few = image.convert("RGB").quantize(
            PALETTE, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        few.save(out, format="PNG", optimize=True)
    return out.getvalue()


def headline(figure: Figure, title: str, subtitle: str, *, left: float = LEFT, top: float = 0.97) -> None:
    """What it is, large; of what, from when to when and from which source, small below it."""
    below = top - 0.27 / figure.get_figheight()
    figure.text(left, top, title, size=13, weight="bold", va="top")
    figure.text(left, below, subtitle, size=8.5, color=SOFT, va="top")


def legend(figure: Figure, marks: Sequence[tuple[str, str, str]], *, right: float, top: float = 0.97) -> None:
    """Small squares with words, from the right: (words, colour, hatch)."""
    from matplotlib.patches import Patch  # noqa: PLC0415

    if not marks:
        return
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=SOFT if hatch else HAIR, linewidth=0.6, label=words)
        for words, colour, hatch in marks
    ]
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(right, top + 0.01),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        labelcolor=SOFT,
        handlelength=1.1,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=1.4,
        borderpad=0,
        borderaxespad=0,
    )


def time_axis(axes: Axes, start: int, end: int, most: int = 10) -> None:
    """Marks at whole minutes, hours or days of UTC; x counts seconds since ``start`` (microseconds)."""
    ticks = ticks_of(start, end, most)
    axes.set_xlim(0, (end - start) / MICROSECONDS)
    axes.set_xticks([(at - start) / MICROSECONDS for at, _ in ticks], [words for _, words in ticks])
    axes.annotate(
        "UTC",
        (1.0, 0.0),
        xycoords="axes fraction",
        xytext=(10, -3),
        textcoords="offset points",
        size=7.5,
        color=SOFT,
        va="center",
    )


def boxes(axes: Axes, shapes: Sequence[Box], *, face: str, edge: str = "none", **more: Any) -> None:
    """Many rectangles at once, as one artist."""
    from matplotlib.collections import PolyCollection  # noqa: PLC0415

    corners = [
        [(box.left, box.low), (box.left, box.high), (box.right, box.high), (box.right, box.low)]
        for box in shapes
    ]
    axes.add_collection(PolyCollection(corners, facecolors=face, edgecolors=edge, **more), autolim=False)


def short(number: float) -> str:
    """Three digits and a letter: 1.25 M."""
    for letter, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"
