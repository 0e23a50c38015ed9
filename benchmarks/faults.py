"""``python -m benchmarks.faults``: each fault in turn against the real platform; what became of the trades.

The platform is ``trade-platform up --simulated`` with servers of its own. A fault of the exchanges is done
to all three at once and measured on each; what is lost or stored twice is counted row by row in the
table of trades, and once more at each stage's end against the ledger. Every fault is then done once more
with its defence switched off, and must do harm. Exit code 1 when anything is lost, stored twice, late or
otherwise not as the ledger says, when a fault did not happen, or when the absence of a defence does no harm.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NoReturn, Self

import msgspec

from benchmarks.campaign import SPEED, Campaign, Proof, Setting, joined
from benchmarks.matrix import GROUPS, QUICK, Case, cases, groups
from benchmarks.ordeal import LOOK_SECONDS
from benchmarks.report import Absent, Record, load, markdown, save, show
from benchmarks.rows import Absence, Row, failures, of_one_server
from benchmarks.seclusion import seclude
from trade_platform.operations.verify import Verification
from trade_platform.settings import variables

MOST_FINDINGS: Final = 10
PAIRS: Final = 6


def main() -> int:
    """0: nothing lost, nothing twice, and every fault really happened; 1: not so, or the run broke."""
    arguments = options(sys.argv[1:])
    forget_settings()
    signal.signal(signal.SIGTERM, leave)
    return _run(arguments, chosen(arguments))


def forget_settings() -> None:
    """What the shell has set is not for the platform that is tried."""
    for name in variables(os.environ):
        del os.environ[name]


def chosen(arguments: argparse.Namespace) -> list[Case]:
    """What the options leave of the matrix."""
    count = 0 if arguments.quick else arguments.pairs
    offered = groups(arguments.seed, count)
    if arguments.group:
        return [case for name in arguments.group for case in offered[name]]
    everything = [case for group in offered.values() for case in group]
    names = arguments.only or (QUICK if arguments.quick else [case.name for case in everything])
    return [case for case in everything if case.name in names]


def _run(arguments: argparse.Namespace, some: Sequence[Case]) -> int:
    began = time.monotonic()
    times = not arguments.quick
    campaign = Campaign(Setting(seed=arguments.seed, seclusion=seclude(), times=times))
    absences: dict[tuple[str, str], Absence] = {}
    with ExitStack() as stack:
        beside = None
        if not (arguments.without or arguments.no_without or arguments.quick):
            beside = stack.enter_context(Beside(some, arguments.seed))
        if arguments.without:
            absences = campaign.bare(some)
        else:
            campaign.defended(some)
        if beside is not None:
            absences = beside.absences(campaign.broken)
    rows = of_one_server(joined(campaign.rows, absences), [case.name for case in some if case.shared])
    took = time.monotonic() - began
    _print(arguments, campaign, rows, took)
    if arguments.json:
        listed = [Absent(fault=fault, target=at, absence=one) for (fault, at), one in absences.items()]
        record = Record(seed=arguments.seed, seconds=took, rows=rows, absences=listed, broken=campaign.broken)
        save(arguments.json, record)
    said = [f"{row.fault} at {row.target}: {one}." for row in rows for one in failures(row, times=times)]
    said += [sentence for proof in campaign.proofs for sentence in complaints(proof)]
    said += campaign.broken
    if arguments.without:
        said += harmless(absences, [case.name for case in some if case.shared])
    for sentence in said:
        print(sentence, file=sys.stderr)
    return 1 if said else 0


def _print(arguments: argparse.Namespace, campaign: Campaign, rows: Sequence[Row], took: float) -> None:
    if rows:
        show(rows, times=not arguments.quick)
    for proof in campaign.proofs:
        print(f"{proof.stage}: {summary(proof.verification)}")
    print(
        f"Looked at every {LOOK_SECONDS:g} s; market × {SPEED:g}, seed {arguments.seed}; the run took "
        f"{took:.0f} s."
    )
    if arguments.markdown:
        print(markdown(rows))


def harmless(absences: Mapping[tuple[str, str], Absence], shared: Collection[str] = ()) -> list[str]:
    """Defences whose absence changed nothing, in sentences; where servers are ``shared``, at no exchange."""
    harmed = {fault for (fault, _), absence in absences.items() if absence.harm and fault in shared}
    return [
        f"{fault} at {target}: no harm without {' and '.join(absence.defences)}."
        for (fault, target), absence in absences.items()
        if not absence.harm and fault not in harmed
    ]


class Beside:
    """The runs without defences, in a process and a network of their own: they are not judged by times."""

    def __init__(self, some: Sequence[Case], seed: int) -> None:
        self._names = list(dict.fromkeys(case.name for case in some if case.defences))
        self._seed = seed
        self._folder = Path(tempfile.mkdtemp(prefix="tp-faults-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self._names:
            command = [sys.executable, "-m", "benchmarks.faults", "--without", "--only", *self._names]
            command += ["--seed", str(self._seed), "--json", str(self._folder / "run.json")]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        return self

    def absences(self, broken: list[str]) -> dict[tuple[str, str], Absence]:
        """Wait for its end; what did not come to it is added to ``broken``."""
        if self._process is None:
            return {}
        self._process.wait()
        try:
            record = load(self._folder / "run.json")
        except (OSError, msgspec.DecodeError) as error:
            broken.append(f"The runs without defences broke: {error}")
            return {}
        broken += record.broken
        return {(one.fault, one.target): one.absence for one in record.absences}

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def summary(proof: Verification) -> str:
    """The whole run against the ledger, in two sentences."""
    trades = [one.trades for one in proof.instruments]
    expected, missing, twice = (
        sum(getattr(one, name) for one in trades) for name in ("expected", "missing", "duplicated")
    )
    other = sum(one.altered + one.extra for one in trades)
    candles = sum(one.candles for one in proof.instruments)
    wrong = sum(one.candles_different + one.candles_missing for one in proof.instruments)
    return (
        f"Ledger of the whole run: {expected:,} trades of {len(trades)} instruments, lost {missing:,}, "
        f"twice {twice:,}, altered or not in it {other:,}. {candles:,} closed candles, of which "
        f"{wrong:,} different or missing."
    )


def complaints(proof: Proof) -> list[str]:
    """What a stage's end did not prove, the first few in full."""
    verification = proof.verification
    said = [proof.complaint] if proof.complaint else []
    if proof.forgiven and sum(one.trades.missing for one in verification.instruments) <= proof.forgiven:
        return said
    found = [f"{one.exchange} {one.symbol} {one.what}: {one.detail}" for one in verification.findings]
    more = len(found) - MOST_FINDINGS
    if not found and not verification.good:
        return [*said, "The final proof is not good."]
    return [*said, *found[:MOST_FINDINGS], *([f"… and {more:,} more."] if more > 0 else [])]


def options(given: Sequence[str]) -> argparse.Namespace:
    """What a person asked for; ends the program with a sentence where that cannot be."""
    names = list(dict.fromkeys(case.name for case in cases()))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", action="extend", choices=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--group", nargs="+", action="extend", choices=GROUPS, help="kinds of faults")
    parser.add_argument("--seed", type=int, default=1, help="of the market, the moments and the pairs")
    parser.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help="rows of two faults at once")
    parser.add_argument("--quick", action="store_true", help="a handful of faults, judged without times")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--without", action="store_true", help="only the runs with a defence switched off")
    only.add_argument("--no-without", action="store_true", help="none of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, for a script")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/reliability.md has it")
    return parser.parse_args(given)


def leave(number: int, _: object) -> NoReturn:
    """Ended from outside: everything that was started is stopped on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
