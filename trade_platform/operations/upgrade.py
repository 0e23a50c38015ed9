"""Replaces running processes by new ones, make-before-break: one lane after the other.

A lane's successor is started in its idle slot. Once it is live (a streamer: every subscription delivers
or is known to be quiet; a processor: it stands by) the old process is asked to stop. A successor that
does not become live is stopped again, and the old one never knew.

``Upgrade`` decides, a ``Replaceable`` does: children of ``trade-platform up`` today. ``ask_for_upgrade``
is the verb's side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from trade_platform.adapters.children import LEADER
from trade_platform.adapters.process import read_run
from trade_platform.adapters.upgrade_desk import (
    LaneProgress,
    LaneState,
    Progress,
    Request,
    UpgradeDesk,
    UpgradeUnderWay,
)

DEADLINE_SECONDS = 120.0
"""For a successor to become live: as long as a thin market may take to be known as quiet."""
OVERLAP_SECONDS = 3.0
"""Both deliver for so long: what comes once a second is heard of both, and proves that nobody was deaf."""
STOP_SECONDS = 15.0
"""For the old process to hand over what it holds."""
TAKE_OVER_SECONDS = 15.0
"""For a successor that stood by to own what the old process owned."""
NOTICE_SECONDS = 15.0
"""For ``up`` to notice a request."""
POLL_SECONDS = 0.1


class UpgradeImpossible(Exception):
    """Nothing was begun; the sentence says why and what to do."""


class Fitness(StrEnum):
    """What a successor is fit for."""

    STARTING = "starting"
    LIVE = "live"
    """It stands by."""
    WORKING = "working"
    """It does the lane's work, beside the old one or alone."""
    DEAD = "dead"


class Replaceable(Protocol):
    """A lane as an upgrade sees it."""

    @property
    def name(self) -> str: ...

    @property
    def process(self) -> str:
        """Name of the process that works."""

    @property
    def idle(self) -> str:
        """Name that a successor would bear."""

    def start_successor(self) -> None: ...

    def fitness(self) -> tuple[Fitness, str]:
        """Of the successor, with a word on what it waits for or died of."""

    def ask_old_to_stop(self) -> None: ...

    def old_has_stopped(self) -> bool: ...

    def kill_old(self) -> None:
        """It overstays."""

    def promote(self) -> str:
        """The successor is the lane's process from here on; what was wrong with the old one's end."""

    def dismiss_successor(self) -> None:
        """Stop it again; the old one never knew."""


class Upgrade:
    """One upgrade; ``step`` is called again and again and never blocks for long."""

    def __init__(self, identity: str, lanes: Sequence[Replaceable], deadline_seconds: float) -> None:
        self._lanes = list(lanes)
        self._deadline_seconds = deadline_seconds
        self._at = 0
        self._since = 0.0
        self._live_at: float | None = None
        self.progress = Progress(
            identity=identity,
            lanes=tuple(LaneProgress(lane=one.name, old=one.process, new=one.idle) for one in lanes),
        )

    @property
    def finished(self) -> bool:
        return bool(self.progress.verdict)

    def step(self, now: float) -> None:
        """Go on where there is something to go on with."""
        if self.finished:
            return
        lane = self._lanes[self._at]
        match self.progress.lanes[self._at].state:
            case LaneState.WAITING:
                lane.start_successor()
                self._since = now
                self._note(LaneState.STARTING)
            case LaneState.STARTING:
                self._await_life(lane, now)
            case _:
                self._await_handover(lane, now)

    def abandon(self, why: str) -> None:
        """The platform ends: whoever works, works until then."""
        if not self.finished:
            verdict = f"The upgrade was given up at {self._lanes[self._at].name}: {why}."
            self.progress = msgspec.structs.replace(self.progress, verdict=verdict, good=False)

    def _await_life(self, lane: Replaceable, now: float) -> None:
        fitness, detail = lane.fitness()
        if fitness is Fitness.DEAD:
            self._fail(lane, f"{lane.idle} {detail}")
        elif fitness is Fitness.WORKING and self._live_at is None:
            self._live_at = now
        elif fitness is Fitness.WORKING and now - (self._live_at or 0.0) < OVERLAP_SECONDS:
            return
        elif fitness is not Fitness.STARTING:
            self._live_at = None
            lane.ask_old_to_stop()
            self._since = now
            self._note(LaneState.LIVE)
        else:
            self._live_at = None  # it was live and is not: the seconds beside the old one count anew
            self._await_still(lane, now, detail)

    def _await_still(self, lane: Replaceable, now: float, detail: str) -> None:
        if now - self._since > self._deadline_seconds:
            waiting = f" ({detail})" if detail else ""
            self._fail(lane, f"{lane.idle} was not live after {self._deadline_seconds:.0f} s{waiting}")
        else:
            self._note(LaneState.STARTING, detail)

    def _await_handover(self, lane: Replaceable, now: float) -> None:
        waited = now - self._since
        if not lane.old_has_stopped():
            if waited > STOP_SECONDS:
                lane.kill_old()
            return
        fitness, detail = lane.fitness()
        if fitness is Fitness.LIVE and waited <= STOP_SECONDS + TAKE_OVER_SECONDS:
            return  # it takes over within a second
        complaint = lane.promote()
        if fitness is not Fitness.WORKING:
            complaint = f"{lane.process} did not take over: {detail or fitness}"
        self._note(LaneState.REPLACED, complaint)
        self._at += 1
        if self._at == len(self._lanes):
            self._conclude()

    def _conclude(self) -> None:
        odd = [one for one in self.progress.lanes if one.detail]
        count = len(self.progress.lanes)
        verdict = f"{count} {'process was' if count == 1 else 'processes were'} replaced without a break."
        if odd:
            verdict = f"All were replaced, but not all as they should: {odd[0].lane}: {odd[0].detail}."
        self.progress = msgspec.structs.replace(self.progress, verdict=verdict, good=not odd)

    def _fail(self, lane: Replaceable, why: str) -> None:
        """The successor goes, and with it the upgrade: the next lane's would fare no better."""
        lane.dismiss_successor()
        self._note(LaneState.FAILED, why)
        verdict = f"{why}: it was stopped again, and {lane.process} works on."
        self.progress = msgspec.structs.replace(self.progress, verdict=verdict, good=False)

    def _note(self, state: LaneState, detail: str = "") -> None:
        lanes = list(self.progress.lanes)
        lanes[self._at] = msgspec.structs.replace(lanes[self._at], state=state, detail=detail)
        self.progress = msgspec.structs.replace(self.progress, lanes=tuple(lanes))


def ask_for_upgrade(
    data_folder: Path,
    request: Request,
    show: Callable[[Progress], None],
    wait: Callable[[float], bool],
) -> Progress:
    """Ask the running ``up`` and follow until it has finished; ``wait`` is true when we are to stop looking.

    Raises UpgradeImpossible.
    """
    if not _leader_runs(data_folder):
        raise UpgradeImpossible("Nothing is running here: start it with `trade-platform up`.")
    desk = UpgradeDesk(data_folder)
    try:
        desk.ask(request)
    except UpgradeUnderWay as error:
        raise UpgradeImpossible("Another upgrade is under way: wait until it has ended.") from error
    notice_by = time.monotonic() + NOTICE_SECONDS
    shown: Progress | None = None
    while True:
        progress = desk.told(request.identity)
        if progress is not None and progress != shown:
            show(progress)
            shown = progress
        if progress is not None and progress.verdict:
            return progress
        if not _leader_runs(data_folder):
            desk.clear()
            return _cut_off(request, shown, "`up` ended meanwhile, and all processes with it.")
        if shown is None and time.monotonic() > notice_by:
            desk.clear()
            raise UpgradeImpossible("The running `up` does not take up the request; its log may say why.")
        if wait(POLL_SECONDS):
            return _cut_off(request, shown, "Nobody watches any more; the running `up` goes on with it.")


def _leader_runs(data_folder: Path) -> bool:
    run = read_run(data_folder / "run" / f"{LEADER}.json")
    return run is not None and run.alive


def _cut_off(request: Request, shown: Progress | None, verdict: str) -> Progress:
    last = shown or Progress(identity=request.identity)
    return msgspec.structs.replace(last, verdict=verdict, good=False)
