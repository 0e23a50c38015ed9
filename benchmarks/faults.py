"""``python -m benchmarks.faults``: each fault in turn against the real platform; what became of the trades.

The platform is ``trade-platform up --simulated`` with servers of its own. A fault of the exchanges is done
to all three at once and measured on each; what is lost or stored twice is counted row by row in the
table of trades, and once more at the end against the ledger. Deadlines are judged in words; exit code 1
when anything is lost, stored twice or otherwise not as the ledger says, or when a fault did not happen.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final, NoReturn

import psycopg

from benchmarks.matrix import Case, cases
from benchmarks.ordeal import LOOK_SECONDS, Ordeal
from benchmarks.platform import open_platform
from benchmarks.rows import Row, failures, line, show
from benchmarks.stage import RunFailed
from trade_platform.adapters.database.migrate import MigrationFailed
from trade_platform.adapters.embedded import EmbeddedError
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.operations.verify import Verification, verify
from trade_platform.settings import Settings

SPEED: Final = 3.0
"""Market seconds in a real second: more trades, and minutes that close."""
SETTLE_SECONDS: Final = 5.5
"""A connection that lived so long was healthy: what follows begins with the shortest pause again."""
SPREAD_SECONDS: Final = 1.0
"""The moment of a fault is drawn from so long."""
MOST_FINDINGS: Final = 10


def main() -> int:
    """0: nothing lost, nothing twice, and every fault really happened; 1: not so, or the run broke."""
    arguments = _arguments()
    for name in Settings.__struct_fields__:  # what the shell has set is not for the platform that is tried
        os.environ.pop(name.upper(), None)
        os.environ.pop(f"{name.upper()}_FILE", None)
    signal.signal(signal.SIGTERM, leave)
    chosen = [case for case in cases() if not arguments.only or case.name in arguments.only]
    try:
        return _run(chosen, arguments.seed)
    except (RunFailed, EmbeddedError, MigrationFailed, LoopbackError, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 1


def _run(chosen: Sequence[Case], seed: int) -> int:
    began = time.monotonic()
    moments = random.Random(seed)
    rows: list[Row] = []
    print("Starting servers, simulated exchanges and the platform …", file=sys.stderr)
    with open_platform(SPEED, seed) as platform:
        platform.await_all()
        for place, case in enumerate(chosen, 1):
            time.sleep(SETTLE_SECONDS + moments.uniform(0, SPREAD_SECONDS))
            found = Ordeal(platform, case).run()
            rows += found
            print(line(place, len(chosen), found), file=sys.stderr)
        print("Stopping; everything is stored and compared with the ledger …", file=sys.stderr)
        code = platform.finish()
        said = [] if code == 0 else [f"trade-platform up ended with exit code {code}.", platform.last_words()]
        proof = verify(platform.connection, platform.folder)
    show(rows)
    print(summary(proof))
    print(
        f"Looked at every {LOOK_SECONDS:g} s; market × {SPEED:g}, seed {seed}; the run took "
        f"{time.monotonic() - began:.0f} s. Deadlines are judged in words."
    )
    said += [f"{row.fault} at {row.target}: {one}." for row in rows for one in failures(row)]
    said += complaints(proof)
    for sentence in said:
        print(sentence, file=sys.stderr)
    return 1 if said else 0


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


def complaints(proof: Verification) -> list[str]:
    """What the final proof found, the first few in full."""
    found = [f"{one.exchange} {one.symbol} {one.what}: {one.detail}" for one in proof.findings]
    more = len(found) - MOST_FINDINGS
    if not found and not proof.good:
        return ["The final proof is not good."]
    return [*found[:MOST_FINDINGS], *([f"… and {more:,} more."] if more > 0 else [])]


def _arguments() -> argparse.Namespace:
    names = list(dict.fromkeys(case.name for case in cases()))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", action="extend", choices=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--seed", type=int, default=1, help="of the market and of the moments")
    return parser.parse_args()


def leave(number: int, _: object) -> NoReturn:
    """Ended from outside: everything that was started is stopped on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
