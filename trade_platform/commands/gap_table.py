"""Gaps as a person sees them on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self, overload

import msgspec
from rich.box import SIMPLE
from rich.cells import cell_len
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from trade_platform.adapters.database.gaps import LedgerGap, Summary
from trade_platform.domain.gaps import State
from trade_platform.domain.model import MICROSECONDS

STYLES = {State.OPEN: "yellow bold", State.REPAIRED: "green", State.UNREPAIRABLE: "red bold"}


class GapRow(msgspec.Struct, frozen=True, kw_only=True):
    """A gap as ``--json`` says it; times are ISO 8601, UTC."""

    gap_id: int
    exchange: str
    symbol: str | None
    channel: str | None
    reason: str
    first_sequence: int | None
    last_sequence: int | None
    missing: int | None
    """Numbers still missing; None for a gap in time."""
    since: str
    until: str
    seconds: float
    state: str
    detected_at: str
    attempts: int
    attempted_at: str | None
    repaired_by: str | None
    repaired_at: str | None
    closed_at: str | None
    """When it was repaired, or given up."""
    closed_seconds_ago: float | None
    verdict: str
    detail: str


def in_rows(gaps: Sequence[LedgerGap]) -> list[GapRow]:
    """For a script."""
    return [
        GapRow(
            gap_id=gap.gap_id,
            exchange=gap.exchange,
            symbol=gap.symbol,
            channel=gap.channel,
            reason=gap.reason,
            first_sequence=gap.first,
            last_sequence=gap.last,
            missing=_missing(gap),
            since=_iso(gap.since),
            until=_iso(gap.until),
            seconds=(gap.until - gap.since) / MICROSECONDS,
            state=gap.state,
            detected_at=_iso(gap.detected_at),
            attempts=gap.attempts,
            attempted_at=_iso(gap.attempted_at),
            repaired_by=gap.repaired_by,
            repaired_at=_iso(gap.closed_at) if gap.state is State.REPAIRED else None,
            closed_at=_iso(gap.closed_at),
            closed_seconds_ago=gap.closed_seconds_ago,
            verdict=gap.verdict,
            detail=gap.detail,
        )
        for gap in gaps
    ]


def draw_gaps(gaps: Sequence[LedgerGap], counts: Summary, *, most: int, width: int) -> Group:
    """The table, open ones first, as wide as there is room, and what became of those of 24 hours."""
    if not gaps:
        return Group(in_words(counts))
    names = _fitting(gaps, width)
    table = _in_lines(gaps, names) if names else _in_blocks(gaps)
    notes = []
    if len(names) < len(CELLS):
        notes.append("A wider terminal shows more columns, and --json everything.")
    if len(gaps) >= most:
        notes.append(f"There are more than these {most:,}: choose with --exchange, --symbol or --since.")
    return Group(table, *(Text(note, style="dim") for note in notes), in_words(counts))


def _fitting(gaps: Sequence[LedgerGap], width: int) -> list[str]:
    """The columns that leave room for the verdict; none where even the needed ones do not."""
    needed = {
        name: max(cell_len(name), *(cell_len(str(cell(gap))) for gap in gaps)) for name, cell in CELLS.items()
    }
    needed["verdict"] = min(needed["verdict"], VERDICT_WIDTH)
    for count in range(len(SPARE) + 1):
        names = [name for name in CELLS if name not in SPARE[:count]]
        if sum(needed[name] + BETWEEN for name in names) < width:
            return names
    return []


def _in_lines(gaps: Sequence[LedgerGap], names: Sequence[str]) -> Table:
    table = _table()
    for name in names:
        table.add_column(
            name,
            justify="right" if name in ("length", "tries") else "left",
            no_wrap=name != "verdict",
            overflow="fold",
        )
    for gap in gaps:
        table.add_row(*(CELLS[name](gap) for name in names))
    return table


def _in_blocks(gaps: Sequence[LedgerGap]) -> Table:
    """Two lines and more for each gap, on a narrow terminal."""
    table = _table(leading=1)
    table.add_column("gap", overflow="fold", min_width=NAME_WIDTH)
    table.add_column("since (UTC)\nlength", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("verdict", overflow="fold", ratio=1)
    for gap in gaps:
        cells = {name: cell(gap) for name, cell in CELLS.items()}
        table.add_row(
            f"{cells['exchange']}\n{cells['instrument']} {cells['channel']}",
            f"{cells['since (UTC)']}\n{cells['length']}",
            *(cells["state"], cells["verdict"]),
        )
    return table


def _table(leading: int = 0) -> Table:
    return Table(
        title="Gaps", title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, leading=leading
    )


def counted(gaps: int) -> str:
    """A number of gaps."""
    return "1 gap" if gaps == 1 else f"{gaps:,} gaps"


def in_words(counts: Summary) -> Text:
    """One line."""
    text = Text(f"In 24 hours: {counted(counts.gaps)}, {counts.repaired:,} repaired, {counts.open:,} open")
    if counts.unrepairable:
        text.append(f", {counts.unrepairable:,} beyond repair", style="red")
    return text


class RepairBar:
    """How far a repair is, on a terminal; elsewhere nothing."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("looking", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: int, total: int, what: str) -> None:
        self._progress.update(self._task, completed=done, total=total, description=what)


def _missing(gap: LedgerGap) -> int | None:
    if gap.first is None:
        return None
    return (gap.expected if gap.remaining is None else gap.remaining).count


def _what(gap: LedgerGap) -> str:
    if gap.first is None or gap.last is None:
        return "a span of time"
    return f"{gap.first:,}" if gap.first == gap.last else f"{gap.first:,} – {gap.last:,}"


def _length(gap: LedgerGap) -> str:
    if gap.first is None:
        return f"{(gap.until - gap.since) / MICROSECONDS:,.1f} s"
    missing = _missing(gap) or 0
    whole = gap.expected.count
    return f"{whole:,}" if missing in (0, whole) else f"{missing:,} of {whole:,}"


def _verdict(gap: LedgerGap) -> str:
    if gap.state is State.REPAIRED:
        return f"by {gap.repaired_by}: {gap.verdict}" if gap.repaired_by else gap.verdict
    return gap.verdict or gap.detail


@overload
def _iso(microseconds: int) -> str: ...
@overload
def _iso(microseconds: int | None) -> str | None: ...
def _iso(microseconds: int | None) -> str | None:
    return None if microseconds is None else _moment(microseconds).isoformat()


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)


CELLS: Final[Mapping[str, Callable[[LedgerGap], str | Text]]] = {
    "exchange": lambda gap: gap.exchange,
    "instrument": lambda gap: gap.symbol or "all",
    "channel": lambda gap: gap.channel or "all",
    "what": _what,
    "since (UTC)": lambda gap: f"{_moment(gap.since):%m-%d %H:%M:%S}",
    "length": _length,
    "reason": lambda gap: gap.reason,
    "state": lambda gap: Text(gap.state, style=STYLES[gap.state]),
    "tries": lambda gap: str(gap.attempts),
    "verdict": lambda gap: Text(_verdict(gap)),
}
"""The columns, from left to right."""
SPARE: Final = ("tries", "reason", "what")
"""Those that a narrow terminal leaves out, the least important first."""
BETWEEN: Final = 2
"""Blanks after each column."""
NAME_WIDTH: Final = 12
"""An exchange's name is not to be broken."""
VERDICT_WIDTH: Final = 30
"""Narrower, a sentence is hard to read."""
