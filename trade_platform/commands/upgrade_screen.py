"""An upgrade on the terminal: a table of lanes, redrawn; elsewhere a line a change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trade_platform.adapters.upgrade_desk import LaneProgress, LaneState, Progress

STYLES: Final[Mapping[LaneState, str]] = {
    LaneState.WAITING: "dim",
    LaneState.STARTING: "yellow",
    LaneState.LIVE: "cyan",
    LaneState.REPLACED: "green",
    LaneState.FAILED: "red bold",
}


class UpgradeScreen:
    """Shows each progress as it comes."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._shown: dict[str, LaneProgress] = {}

    def show(self, progress: Progress) -> None:
        if self._live is not None:
            self._live.update(draw(progress), refresh=True)
            return
        for one in progress.lanes:
            before = self._shown.get(one.lane)
            if one.state is not LaneState.WAITING and (before is None or before.state is not one.state):
                self._console.print(f"{one.lane}: {one.state}", soft_wrap=True)
            self._shown[one.lane] = one


@contextmanager
def upgrade_screen(console: Console) -> Iterator[UpgradeScreen]:
    """Redrawn in place where the terminal can."""
    if not console.is_terminal:
        yield UpgradeScreen(console, None)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield UpgradeScreen(console, live)


def draw(progress: Progress) -> Table:
    """One row a lane."""
    table = Table(title="Upgrade", title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("lane", "new process", "state", ""):
        table.add_column(name, overflow="fold")
    for one in progress.lanes:
        table.add_row(one.lane, one.new, Text(one.state, style=STYLES[one.state]), Text(one.detail))
    return table
