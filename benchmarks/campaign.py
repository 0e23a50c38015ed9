"""All cases of one stage on one platform, with their defences, or with some of them switched off."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from subprocess import CalledProcessError
from typing import Final

import msgspec
import psycopg
from msgspec.structs import replace

from benchmarks.matrix import STAGES, Case
from benchmarks.matrix.case import ALL
from benchmarks.ordeal import Ordeal, rounds, undergo
from benchmarks.platform import Platform, Stage, open_platform
from benchmarks.rows import Absence, Row, absent_line, line
from benchmarks.seclusion import Seclusion
from benchmarks.signs import limits_broken
from benchmarks.stage import RunFailed
from trade_platform.adapters.database.migrate import MigrationFailed
from trade_platform.adapters.embedded import EmbeddedError
from trade_platform.adapters.loopback import LoopbackError
from trade_platform.domain.defences import Defence
from trade_platform.operations.verify import Verification, verify

SPEED: Final = 3.0
"""Market seconds in a real second: more trades, and minutes that close."""
SETTLE_SECONDS: Final = 5.5
"""A connection that lived so long was healthy: what follows begins with the shortest pause again."""
SPREAD_SECONDS: Final = 1.0
"""The moment of a fault is drawn from so long."""
REPAIR_SECONDS: Final = 75.0
"""For gaps that are open when the last fault is over."""
BREAKS: Final = (RunFailed, LoopbackError, EmbeddedError, MigrationFailed, psycopg.Error, CalledProcessError)
"""What ends a stage before its time."""


class Proof(msgspec.Struct, frozen=True):
    """What a stage's end proved."""

    stage: str
    verification: Verification
    forgiven: int
    """Numbers that the gap ledger calls unrepairable, where a row is about just that."""
    complaint: str = ""
    """Why the platform did not end in good order."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is told."""

    seed: int
    seclusion: Seclusion
    times: bool = True


class Campaign:
    """Goes through the stages and collects what is found."""

    def __init__(self, setting: Setting) -> None:
        self.rows: list[Row] = []
        self.proofs: list[Proof] = []
        self._setting = setting
        self.broken: list[str] = []
        """Stages that did not come to their end, in sentences."""
        self._told = 0
        self._moments = random.Random(setting.seed)

    def defended(self, cases: Sequence[Case]) -> None:
        """Every stage in turn, as it is meant to be; one that breaks takes only its own rows with it."""
        total = len(cases)
        for stage, group in by_stage(cases).items():
            say(f"{stage}: starting servers, simulated exchanges and the platform …")
            done: list[Ordeal] = []
            rows: list[Row] = []
            try:
                with self._open(STAGES[stage]) as platform:
                    for some in rounds(group):
                        done += self._round(platform, some)
                        self._tell(done, len(some), total)
                        rows = [row for ordeal in done for row in ordeal.rows()]
                    self._await_repair(done)
                    rows = [row for ordeal in done for row in final_rows(ordeal)]
                    self.proofs.append(self._finish(platform, any(case.beyond for case in group)))
            except BREAKS as error:
                self.broken.append(f"The stage {stage} broke after {len(done)} of {len(group)}: {error}")
            self.rows += rows
            self._told += len(group)

    def bare(self, cases: Sequence[Case]) -> dict[tuple[str, str], Absence]:
        """Each set of defences switched off once, for all the faults that it stands against."""
        found: dict[tuple[str, str], Absence] = {}
        for (stage, defences), group in by_defences(cases).items():
            waiting = rounds(group)
            while waiting:
                before = len(waiting)
                try:
                    waiting = self._bare_stage(stage, defences, waiting, found)
                except BREAKS as error:
                    off = " and ".join(defences)
                    self.broken.append(f"The stage {stage} without {off} broke: {error}")
                    waiting = waiting[before == len(waiting) :]
        return found

    def _open(self, stage: Stage) -> AbstractContextManager[Platform]:
        return opened(stage, self._setting)

    def _tell(self, done: Sequence[Ordeal], newest: int, total: int) -> None:
        for place, ordeal in enumerate(done[-newest:], self._told + len(done) - newest + 1):
            say(line(place, total, ordeal.rows(), times=self._setting.times))

    def _bare_stage(
        self,
        stage: str,
        defences: tuple[Defence, ...],
        waiting: list[list[Case]],
        found: dict[tuple[str, str], Absence],
    ) -> list[list[Case]]:
        """On one platform as long as it can be brought back to life; what is left for the next."""
        off = ",".join(defences)
        say(f"{stage} without {off}: starting …")
        chosen = STAGES[stage]
        chosen = replace(chosen, environment={**chosen.environment, "WITHOUT": off})
        with self._open(chosen) as platform:
            while waiting:
                some = waiting.pop(0)
                for ordeal in self._round(platform, some, bare=True):
                    rows, harms = ordeal.rows(), ordeal.harms()
                    say(absent_line(rows, harms))
                    found |= {
                        (row.fault, row.target): Absence(defences, harm)
                        for row, harm in zip(rows, harms, strict=True)
                    }
                if waiting and not revived(platform):
                    return waiting
        return []

    def _round(self, platform: Platform, cases: Sequence[Case], *, bare: bool = False) -> list[Ordeal]:
        time.sleep(SETTLE_SECONDS + self._moments.uniform(0, SPREAD_SECONDS))
        platform.await_data()
        ordeals = [Ordeal(platform, case, bare=bare) for case in cases]
        undergo(platform, ordeals)
        return ordeals

    def _await_repair(self, ordeals: Sequence[Ordeal]) -> None:
        """Gaps close some time after the trades are there: the ledger is settled every few seconds."""
        deadline = time.monotonic() + (REPAIR_SECONDS if self._setting.times else 0.0)
        while time.monotonic() < deadline:
            if not any(gaps is None or gaps.open for ordeal in ordeals for gaps in ordeal.gaps()):
                return
            time.sleep(1.0)

    def _finish(self, platform: Platform, beyond: bool) -> Proof:
        say("Stopping; everything is stored and compared with the ledger …")
        exceeded = limits_exceeded(platform)
        code = platform.finish()
        forgiven = platform.tables.unrepairable_numbers() if beyond else 0
        proof = verify(platform.tables.connection, platform.folder)
        ended_well = code == 0 or (beyond and code == 1)
        said = (
            "" if ended_well else f"trade-platform up ended with exit code {code}.\n{platform.last_words()}"
        )
        return Proof(platform.stage.name, proof, forgiven, "\n".join(filter(None, [said, *exceeded])))


def limits_exceeded(platform: Platform) -> list[str]:
    """Whatever was done to it: no exchange may have seen more than it allows."""
    return [
        f"{exchange}: {count:.0f} × {word}"
        for exchange in ALL
        for word, count in limits_broken(platform, exchange).items()
        if count
    ]


@contextmanager
def opened(stage: Stage, setting: Setting) -> Iterator[Platform]:
    """A platform of which every exchange delivers."""
    with open_platform(stage, SPEED, setting.seed, setting.seclusion) as platform:
        platform.await_all()
        yield platform


def final_rows(ordeal: Ordeal) -> list[Row]:
    """With the gaps as they stand in the end."""
    return [
        replace(row, gaps=gaps if gaps is not None else row.gaps)
        for row, gaps in zip(ordeal.rows(), ordeal.gaps(), strict=True)
    ]


def joined(rows: Sequence[Row], absences: Mapping[tuple[str, str], Absence]) -> list[Row]:
    """Each row with what was seen without its defence."""
    return [replace(row, absence=absences.get((row.fault, row.target))) for row in rows]


def revived(platform: Platform) -> bool:
    """Whether the platform could be brought back to life after a fault that nothing stood against."""
    try:
        platform.revive()
    except RunFailed:
        return False
    return True


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def by_stage(cases: Sequence[Case]) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.stage, []).append(case)
    return found


def by_defences(cases: Sequence[Case]) -> dict[tuple[str, tuple[Defence, ...]], list[Case]]:
    found: dict[tuple[str, tuple[Defence, ...]], list[Case]] = {}
    for case in cases:
        if case.defences:
            found.setdefault((case.stage, case.defences), []).append(case)
    return found
