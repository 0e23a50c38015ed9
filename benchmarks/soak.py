"""``python -m benchmarks.soak``: memory of each process under a load that is held, and whether it grows.

The real processes record a simulated market of a fixed volume; VmRSS and VmHWM of each are read every few
seconds, and a line is laid through what comes after the warm-up. With 30 minutes or more a process that
grows by more than 1 MB/h makes exit code 1, and is named with those of its structures that grew; a
shorter run is shown, and not judged.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.crew import EQUIPMENT, Crew, open_crew
from benchmarks.faults import forget_settings, leave
from benchmarks.growth import (
    REACH,
    Sample,
    Slope,
    after_warm_up,
    fails,
    fullest,
    growing,
    slope,
    verdict,
)
from benchmarks.stage import RunFailed
from trade_platform.adapters.database.migrate import MigrationFailed
from trade_platform.adapters.embedded import EmbeddedError
from trade_platform.adapters.loopback import LoopbackError

RATE: Final = 13.0
"""Times the simulator's usual rate: about 2,000 messages/s with the selection of config/instruments.toml."""
SAMPLE_SECONDS: Final = 5.0
WARM_UP_SHARE: Final = 0.25
WARM_UP_SECONDS: Final = (60.0, 600.0)
"""At least, at most."""
COLUMNS: Final = (
    "process",
    "RSS MB, first",
    "last",
    "peak",
    "slope MB/h",
    f"≤ {REACH:g} MB/h",
    "fullest: most ever held / bound",
)
WIDTH: Final = 190

Gauges = Mapping[str, float]


class History(msgspec.Struct):
    """What was seen of one process after the warm-up."""

    samples: list[Sample] = []
    gauges: list[Gauges] = []


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One process in the table."""

    name: str
    samples: Sequence[Sample]
    minutes: float
    early: Gauges
    late: Gauges

    @property
    def slope(self) -> Slope | None:
        return slope(self.samples)

    @property
    def said(self) -> str:
        return "not judged" if self.name in EQUIPMENT else verdict(self.slope, self.minutes)

    @property
    def failed(self) -> bool:
        return self.name not in EQUIPMENT and fails(self.slope, self.minutes)

    @property
    def bounded(self) -> str:
        """The structures that came nearest to their bounds."""
        return ", ".join(fullest(self.late))


def main() -> int:
    """0: nothing grows, or it was too short to say so; 1: something grows, or the run broke."""
    arguments = _arguments()
    forget_settings()
    signal.signal(signal.SIGTERM, leave)
    try:
        with open_crew(arguments.rate, arguments.seed) as crew:
            lines, volume = watch(crew, arguments.minutes)
            crew.stop()
    except (RunFailed, EmbeddedError, MigrationFailed, LoopbackError) as error:
        print(error, file=sys.stderr)
        return 1
    show(lines)
    print(f"{volume:,.0f} messages/s on the average (--rate {arguments.rate:g}), {arguments.minutes:g} min.")
    for line in lines:
        if line.name not in EQUIPMENT and line.slope and line.slope.value > REACH:
            grew = ", ".join(growing(line.early, line.late)) or "none of the structures that it tells"
            print(f"{line.name} grew by {line.slope} MB/h; what grew with it: {grew}.", file=sys.stderr)
    return 1 if any(line.failed for line in lines) else 0


def watch(crew: Crew, minutes: float) -> tuple[list[Line], float]:
    """Look until the time is over: a line for each process, and messages a second after the warm-up."""
    total = minutes * 60
    warm_up = warm_up_of(total)
    histories: dict[str, History] = {}
    began = time.monotonic()
    counted: list[tuple[float, float]] = []
    with _progress() as progress:
        task = progress.add_task("soak", total=total)
        while (seconds := time.monotonic() - began) < total:
            progress.update(task, completed=seconds)
            note(histories, crew, seconds)
            if seconds >= warm_up:
                counted.append((seconds, crew.messages()))
            time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began - seconds)))
    if len(counted) < 2:
        raise RunFailed(f"{minutes:g} minutes leave nothing after the warm-up of {warm_up:.0f} s.")
    (first, before), (last, after) = counted[0], counted[-1]
    lines = [line_of(name, history, warm_up, minutes) for name, history in sorted(histories.items())]
    return lines, (after - before) / (last - first)


def warm_up_of(seconds: float) -> float:
    """A quarter of the run, within bounds."""
    least, most = WARM_UP_SECONDS
    return min(max(seconds * WARM_UP_SHARE, least), most)


def note(histories: dict[str, History], crew: Crew, seconds: float) -> None:
    """Take a sample of each process."""
    gauges = crew.gauges()
    for name, memory in crew.memory().items():
        history = histories.setdefault(name, History())
        history.samples.append(Sample(seconds, memory.now, memory.peak))
        history.gauges.append(gauges.get(name, {}))


def line_of(name: str, history: History, warm_up: float, minutes: float) -> Line:
    samples = after_warm_up(history.samples, warm_up)
    gauges = history.gauges[len(history.samples) - len(samples) :]
    third = max(len(gauges) // 3, 1)
    return Line(
        name=name, samples=samples, minutes=minutes, early=mean(gauges[:third]), late=mean(gauges[-third:])
    )


def mean(gauges: Sequence[Gauges]) -> Gauges:
    """Each gauge's mean over some moments: one moment's lag is no growth."""
    names = dict.fromkeys(name for one in gauges for name in one)
    return {name: statistics.fmean(one[name] for one in gauges if name in one) for name in names}


def cells(line: Line) -> tuple[str, ...]:
    """One line, as text."""
    first, last = line.samples[0], line.samples[-1]
    sizes = (f"{size:.1f}" for size in (first.now, last.now, last.peak))
    return (line.name, *sizes, str(line.slope or "–"), line.said, line.bounded)


def show(lines: Sequence[Line]) -> None:
    """Print the table; where there is no terminal it is as wide as it likes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD)
    for column in table.columns[1:5]:
        column.justify = "right"
    for line in lines:
        table.add_row(*cells(line), style="red" if line.failed else None)
    console.print(table)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="30 or more to be judged")
    parser.add_argument("--rate", type=float, default=RATE, help="times the simulator's usual rate")
    parser.add_argument("--seed", type=int, default=1, help="of the market")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    if seconds < warm_up_of(seconds) + 3 * SAMPLE_SECONDS:
        alone = f"the warm-up alone takes {warm_up_of(seconds):.0f} s"
        parser.error(f"--minutes {arguments.minutes:g}: {alone}; take 2 or more")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
