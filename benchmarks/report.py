"""The rows as a table for a terminal, for a document, or as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.rows import Absence, Row, failures, seconds, verdict

COLUMNS = (
    "fault", "at", "it happened", "noticed by", "after s", "resumed s", "whole s", "gaps", "lost", "twice",
    "without its defence", "said of it",
)  # fmt: skip
NUMBERS = slice(4, 10)
WIDTH = 160
NAME_WIDTH = 23
"""A fault's name is not to be cut: it is what --only takes."""
PID = re.compile(r"pid \d+")
SHORT = {"binance_spot": "spot", "binance_usdm": "usdm"}


def cells(row: Row, *, times: bool = True) -> tuple[str, ...]:
    """One line, as text; gaps are opened/repaired/unrepairable."""
    gaps = row.gaps
    held = f"{gaps.opened}/{gaps.repaired}/{gaps.unrepairable}" if gaps is not None else "?"
    counts = (str(count) if count is not None else "?" for count in (row.lost, row.duplicated))
    took = (seconds(value) for value in (row.detect, row.resume, row.whole))
    where = (row.fault, SHORT.get(row.target, row.target), row.happened or "no", row.noticed or "–")
    return (*where, *took, held, *counts, without(row), verdict(row, times=times))


def without(row: Row) -> str:
    """The last column but one."""
    if row.absence is not None:
        return f"{row.absence.defences[0]}: {row.absence.harm or 'no harm'}"
    return row.harmless or "not run"


def style(row: Row, *, times: bool = True) -> str | None:
    return "red" if failures(row, times=times) else None


def show(rows: Iterable[Row], *, times: bool = True) -> None:
    """Print the table; where there is no terminal it is as wide as a wide one."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns[NUMBERS]:
        column.justify = "right"
    table.columns[0].min_width = NAME_WIDTH
    table.columns[0].overflow = "fold"
    for row in rows:
        table.add_row(*cells(row, times=times), style=style(row, times=times))
    console.print(table)


def markdown(rows: Iterable[Row]) -> str:
    """As it stands in docs/reliability.md: a fault a line, smallest and largest of its exchanges."""
    lines = [f"| {' | '.join(('fault', 'at', *COLUMNS[3:]))} |", f"|{' --- |' * (len(COLUMNS) - 1)}"]
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.fault, []).append(row)
    lines += [f"| {' | '.join(_summary(name, group))} |" for name, group in grouped.items()]
    return "\n".join(lines)


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a run without a defence, as it stands in a file."""

    fault: str
    target: str
    absence: Absence


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A run, for a script."""

    seed: int
    seconds: float
    rows: list[Row]
    absences: list[Absent]
    broken: list[str]
    """Stages that did not come to their end."""


def save(path: Path, record: Record) -> None:
    """Every figure."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def load(path: Path) -> Record:
    """What ``save`` wrote; raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Record)


def _summary(name: str, group: Sequence[Row]) -> list[str]:
    at = "all" if len(group) == 3 else ", ".join(SHORT.get(row.target, row.target) for row in group)
    noticed = _words(row.noticed or "–" for row in group)
    took = [_span([getattr(row, field) for row in group], seconds) for field in ("detect", "resume", "whole")]
    gaps = [
        _span([getattr(row.gaps, field) if row.gaps else None for row in group], str)
        for field in ("opened", "repaired", "unrepairable")
    ]
    counts = [_span([getattr(row, field) for row in group], str) for field in ("lost", "duplicated")]
    return [name, at, noticed, *took, "/".join(gaps), *counts, _absent(group), _words(map(verdict, group))]


def _absent(group: Sequence[Row]) -> str:
    harms = [row.absence.harm or "no harm" for row in group if row.absence is not None]
    if len(harms) < len(group):
        return _words(map(without, group))
    assert group[0].absence is not None
    return f"{group[0].absence.defences[0]}: {_words(harms)}"


def _words(found: Iterable[str]) -> str:
    """Each once; which process it was says nothing to a reader."""
    return "; ".join(dict.fromkeys(PID.sub("pid", one) for one in found))


def _span(values: Sequence[float | None], spell: object) -> str:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "–"
    assert callable(spell)
    low, high = spell(min(known)), spell(max(known))
    return low if low == high else f"{low} – {high}"
