"""Gaps as a person sees them on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

import msgspec
from rich.box import SIMPLE
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
    attempts: int
    repaired_by: str | None
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
            since=_moment(gap.since).isoformat(),
            until=_moment(gap.until).isoformat(),
            seconds=(gap.until - gap.since) / MICROSECONDS,
            state=gap.state,
            attempts=gap.attempts,
            repaired_by=gap.repaired_by,
            closed_seconds_ago=gap.closed_seconds_ago,
            verdict=gap.verdict,
            detail=gap.detail,
        )
        for gap in gaps
    ]


def draw_gaps(gaps: Sequence[LedgerGap], counts: Summary, *, most: int) -> Group:
    """The table, open ones first, and what became of those of the last 24 hours."""
    table = Table(title="Gaps", title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("exchange", "instrument", "channel", "what", "since (UTC)"):
        table.add_column(name, no_wrap=name in ("exchange", "since (UTC)"))
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("reason")
    table.add_column("state", no_wrap=True)
    table.add_column("tries", justify="right")
    table.add_column("verdict", overflow="fold")
    for gap in gaps:
        table.add_row(
            *(gap.exchange, gap.symbol or "all", gap.channel or "all", _what(gap)),
            *(f"{_moment(gap.since):%m-%d %H:%M:%S}", _length(gap), gap.reason),
            *(Text(gap.state, style=STYLES[gap.state]), str(gap.attempts), Text(_verdict(gap))),
        )
    if len(gaps) >= most:
        table.caption = f"There are more than these {most:,}: choose with --exchange, --symbol or --since."
    return Group(table, in_words(counts)) if gaps else Group(in_words(counts))


def in_words(counts: Summary) -> Text:
    """One line."""
    text = Text(f"In 24 hours: {counts.gaps:,} gaps, {counts.repaired:,} repaired, {counts.open:,} open")
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


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)
