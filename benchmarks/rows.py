"""One row a fault and exchange: what was measured, and what is said of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

COLUMNS = (
    "fault", "at", "it happened", "noticed by", "after s", "resumed s", "whole s", "gaps", "lost", "twice",
    "said of it",
)  # fmt: skip
NUMBERS = slice(4, 10)
WIDTH = 200


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault did to one exchange."""

    fault: str
    target: str
    happened: str
    """The evidence; empty: it did not happen."""
    noticed: str
    """By what the platform noticed; empty: it did not."""
    detect: float | None
    """Seconds from the fault."""
    resume: float | None
    """Seconds from the fault's end until a trade that was printed after it was stored; None: never."""
    whole: float | None
    """Seconds from the fault's end until everything that was printed before that was stored, too."""
    gaps: int | None
    """Gap rows noted; None where that could not be asked."""
    lost: int | None
    duplicated: int | None
    detect_reach: float | None = None
    resume_reach: float | None = None
    expects_gap: bool = False


def failures(row: Row) -> list[str]:
    """What makes the run fail."""
    found = []
    if not row.happened:
        found.append("did not happen")
    if row.lost is None or row.duplicated is None:
        found.append("could not be counted")
    else:
        found += [f"{row.lost:,} lost"] if row.lost else []
        found += [f"{row.duplicated:,} twice"] if row.duplicated else []
    return found


def remarks(row: Row) -> list[str]:
    """What is not as it should be, though nothing is lost by it."""
    found = []
    if row.detect is None:
        found.append("not noticed")
    elif row.detect_reach is not None and row.detect > row.detect_reach:
        found.append(f"noticed late (≤ {row.detect_reach:g} s)")
    if row.resume is None:
        found.append("did not resume")
    elif row.resume_reach is not None and row.resume > row.resume_reach:
        found.append(f"resumed late (≤ {row.resume_reach:g} s)")
    if row.expects_gap and not row.gaps:
        found.append("no gap row")
    return found


def verdict(row: Row) -> str:
    """In words: failures first, then remarks; where there is neither, what was reached."""
    said = [*failures(row), *remarks(row)]
    if said:
        return ", ".join(said)
    reaches = [(row.detect_reach, "noticed"), (row.resume_reach, "resumed")]
    reached = [f"{word} ≤ {reach:g} s" for reach, word in reaches if reach is not None]
    return f"good: {', '.join(reached)}" if reached else "good"


def cells(row: Row) -> tuple[str, ...]:
    """One line, as text."""
    counts = (str(count) if count is not None else "?" for count in (row.gaps, row.lost, row.duplicated))
    seconds = (_seconds(value) for value in (row.detect, row.resume, row.whole))
    where = (row.fault, row.target, row.happened or "no", row.noticed or "–")
    return (*where, *seconds, *counts, verdict(row))


def style(row: Row) -> str | None:
    if failures(row):
        return "red"
    return "yellow" if remarks(row) else None


def show(rows: Iterable[Row]) -> None:
    """Print the table; where there is no terminal it is as wide as it likes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD)
    for column in table.columns[NUMBERS]:
        column.justify = "right"
    for row in rows:
        table.add_row(*cells(row), style=style(row))
    console.print(table)


def line(place: int, of: int, rows: Sequence[Row]) -> str:
    """What is said of a fault when its rows are there."""
    said = "; ".join(
        f"{row.target} {_seconds(row.detect)}/{_seconds(row.resume)} s, {verdict(row)}" for row in rows
    )
    return f"[{place}/{of}] {rows[0].fault}: {said}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
