"""A backfill as a person sees it on the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, Self

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from trade_platform.domain.backfill import DayState
from trade_platform.operations.backfill import Backfilled
from trade_platform.operations.backfill import Progress as HowFar

MOST_DAYS: Final = 40
"""Days that are named; --json names all."""
PLAIN_SECONDS: Final = 30.0
"""How often a line is printed where the terminal cannot be redrawn."""
STYLES: Final = {DayState.OPEN: "yellow", DayState.LACKING: "red bold", DayState.UNREACHABLE: "red bold"}


class TwoLines(Progress):
    """A bar, and below it what is done or waited for: side by side they do not fit into eighty columns."""

    note = Text(style="dim", no_wrap=True, overflow="ellipsis")

    def get_renderables(self) -> Iterable[RenderableType]:
        """From above."""
        yield self.make_tasks_table(self.tasks)
        yield self.note


class BackfillBar:
    """Days, trades, rate, time left, and what is done or waited for; a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        columns = (
            BarColumn(bar_width=12),
            TaskProgressColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
        )
        self._console = console
        self._progress = TwoLines(
            *columns,
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=300,
        )
        self._task = self._progress.add_task("looking", total=None)
        self._began = time.monotonic()
        self._printed = self._began

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, far: HowFar) -> None:
        """Draw how far it is."""
        now = time.monotonic()
        counts = counts_of(far, now - self._began)
        self._progress.note = Text(f"{far.what} {far.doing}", "dim", no_wrap=True, overflow="ellipsis")
        self._progress.update(self._task, completed=far.done, total=far.days, description=counts)
        if not self._console.is_terminal and now - self._printed >= PLAIN_SECONDS:
            self._printed = now
            self._console.print(f"{counts}; {far.what} {far.doing}", soft_wrap=True, highlight=False)


def counts_of(far: HowFar, seconds: float) -> str:
    """``3 of 60 days, 12,345 trades, 1,200 a second``."""
    rate = far.trades / seconds if seconds > 0 else 0.0
    return f"{int(far.done):,} of {far.days:,} days, {far.trades:,} trades, {rate:,.0f} a second"


def draw_outcome(done: Backfilled) -> Table | None:
    """The days that are not whole, and why."""
    named = [one for one in done.days if one.state is not DayState.WHOLE]
    if not named:
        return None
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("day", "instrument", "state", "why"):
        table.add_column(name, no_wrap=name == "day", overflow="fold")
    for one in named[:MOST_DAYS]:
        state = Text(one.state, style=STYLES[one.state])
        table.add_row(str(one.day), f"{one.exchange} {one.symbol}", state, Text(one.words))
    if len(named) > MOST_DAYS:
        table.caption = f"and {len(named) - MOST_DAYS:,} more; --json names them all"
    return table


def in_words(done: Backfilled) -> str:
    """One sentence."""
    whole, asked = done.count(DayState.WHOLE), done.asked
    words = f"{whole:,} of {asked:,} {'day' if asked == 1 else 'days'} whole"
    for state, name in (
        (DayState.OPEN, "open at the end"),
        (DayState.LACKING, "not served completely"),
        (DayState.UNREACHABLE, "without an answer"),
    ):
        if count := done.count(state):
            words += f", {count:,} {name}"
    words += f"; {done.trades:,} trades read"
    if done.waited_seconds >= 1:
        words += f", {done.waited_seconds:,.0f} s waited for the exchanges' limits"
    if done.stopped:
        return f"Stopped: {words}. The same command goes on from here."
    left = asked - len(done.days)
    return f"{words}. {left:,} were not begun: the same command goes on from here." if left else f"{words}."
