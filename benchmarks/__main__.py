"""``python -m benchmarks``: speed, latency and memory of the real processes, each figure beside its limit.

Without ``--quick`` absolute reaches are judged in words and only a wrong count makes exit code 1. With
it the run is short, and judges the ratios to limits that were taken in the same run.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmarks import candles, latency, orchestration, processing, streaming
from benchmarks.figures import Findings, complaints
from benchmarks.procfs import usable_cores
from benchmarks.stage import RunFailed, Stage, open_stage
from benchmarks.table import circumstances, markdown, show
from trade_platform.adapters.database.migrate import MigrationFailed
from trade_platform.adapters.embedded import EmbeddedError
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.settings import Settings

Part = Callable[[Stage], Findings]


def parts(*, quick: bool) -> dict[str, Part]:
    """What is measured, in order."""
    frames, bursts, seconds, trades = (50_000, 1, 4, 150_000) if quick else (200_000, 3, 15, 600_000)
    of_a_day = 600_000 if quick else 3_000_000
    return {
        "streaming": lambda stage: streaming.measure(stage, frames=frames, bursts=bursts),
        "latency": lambda stage: latency.measure(stage, seconds=seconds),
        "processing": lambda stage: processing.measure(stage, trades=trades),
        "candles": lambda stage: candles.measure(stage, trades=of_a_day),
        **({} if quick else {"orchestration": orchestration.measure}),
    }


def main() -> int:
    """0: done, and all that is judged is good; 1: it is not, or the run broke."""
    arguments = _arguments()
    for name in Settings.__struct_fields__:  # what the shell has set is not for the measured processes
        os.environ.pop(name.upper(), None)
        os.environ.pop(f"{name.upper()}_FILE", None)
    signal.signal(signal.SIGTERM, _leave)
    try:
        return _run(arguments)
    except (RunFailed, EmbeddedError, MigrationFailed, LoopbackError) as error:
        print(error, file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    cores = usable_cores()
    cores.settle()
    found: list[Findings] = []
    chosen = parts(quick=arguments.quick)
    with open_stage(cores) as stage:
        for name in arguments.part or chosen:
            print(f"Measuring: {name} …", file=sys.stderr)
            found.append(chosen[name](stage))
        about = circumstances(cores, stage.postgres.url, stage.redis.url)
    figures = [figure for one in found for figure in one.figures]
    if arguments.markdown:
        print(f"{about}\n\n{markdown(figures, quick=arguments.quick)}")
    else:
        show(figures, quick=arguments.quick)
        print(about)
    failures = complaints(found, quick=arguments.quick)
    for sentence in failures:
        print(sentence, file=sys.stderr)
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short; judges ratios alone")
    parser.add_argument(
        "--part", action="append", choices=parts(quick=False), help="only this; may be repeated"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/performance.md")
    arguments = parser.parse_args()
    if left_out := set(arguments.part or ()) - set(parts(quick=arguments.quick)):
        parser.error(f"--quick leaves {min(left_out)} out")
    return arguments


def _leave(number: int, _: object) -> NoReturn:
    """Ended from outside: everything that was started is stopped on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
